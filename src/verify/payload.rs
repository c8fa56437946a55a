//! What a signature of cosign's older form signs: a small JSON text that names the image's digest.
//!
//! containers/image, "simple signing", with cosign's type. The digest decides; the repository in it is what the signer
//! called the image, and is only reported.

use serde::Deserialize;

use super::fault::{Check, Fault, shown};
use crate::oci::Digest;

/// No payload is larger; annotations that the signer adds are in it.
const LARGEST: usize = 256 * 1024;

/// What cosign writes as the type, before and since version 3.
const TYPES: [&str; 2] = ["cosign container image signature", "https://sigstore.dev/cosign/sign/v1"];

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    identity: Option<Named>,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "docker-reference")]
    reference: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Reads a payload that has to be about `subject`, and returns what it calls the image.
pub(super) fn read(bytes: &[u8], subject: &Digest) -> Result<Option<String>, Fault> {
    if bytes.len() > LARGEST {
        return Err(Fault::new(Check::Size, &format!("its payload has {} bytes", bytes.len())));
    }
    let Payload { critical } = serde_json::from_slice(bytes)
        .map_err(|error| Fault::format(format_args!("its payload is not readable: {error}")))?;
    if !TYPES.contains(&critical.kind.as_str()) {
        return Err(Fault::unsupported(&format!("its payload is of the type `{}`", critical.kind)));
    }
    if critical.image.digest != subject.to_string() {
        return Err(Fault::new(Check::Digest, &format!("it is about {}", critical.image.digest)));
    }
    let reference = critical.identity.and_then(|identity| identity.reference);
    Ok(reference.filter(|text| !text.is_empty()).map(|text| shown(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(digest: &Digest, kind: &str, reference: &str) -> Vec<u8> {
        format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"{reference}"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"{kind}"}},"optional":null}}"#
        )
        .into_bytes()
    }

    fn check(bytes: &[u8]) -> Result<Option<String>, Check> {
        read(bytes, &Digest::sha256(b"image")).map_err(|fault| fault.check)
    }

    #[test]
    fn the_digest_decides_and_the_name_is_reported() {
        let digest = Digest::sha256(b"image");
        let named = payload(&digest, TYPES[0], "registry.example.com/app");
        assert_eq!(check(&named), Ok(Some("registry.example.com/app".to_owned())));
        assert_eq!(check(&payload(&digest, TYPES[1], "")), Ok(None));
        assert_eq!(check(&payload(&Digest::sha256(b"other"), TYPES[0], "x")), Err(Check::Digest));
        assert_eq!(check(&payload(&digest, "atomic container signature", "x")), Err(Check::Supported));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let good = String::from_utf8(payload(&Digest::sha256(b"image"), TYPES[0], "x")).expect("a text");
        let other = Digest::sha256(b"other");
        for bad in [
            good.replace(
                r#""image":"#,
                &format!(r#""image":{{"docker-manifest-digest":"{other}"}},"image":"#),
            ),
            format!("{good}{good}"),
            good.replace('}', ""),
            good.to_uppercase(),
            "[]".to_owned(),
            String::new(),
        ] {
            assert_eq!(check(bad.as_bytes()), Err(Check::Format), "{bad}");
        }
        let long = good.replace("null", &format!("\"{}\"", "x".repeat(LARGEST)));
        assert_eq!(check(long.as_bytes()), Err(Check::Size));
    }
}
