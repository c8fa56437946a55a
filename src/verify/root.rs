//! The trust root: whose certificates, logs and time stamps count (sigstore's `TrustedRoot`).
//!
//! It is built in, or a file's text in the same JSON, one root or several, as `gh attestation trusted-root` prints them.
//! Each root is a domain of its own: what one issued is checked against the logs and clocks of the same one. A domain
//! demands all that it has; one without a log, as GitHub's for private repositories, demands a time stamp instead.

use std::fmt;
use std::time::{Duration, SystemTime};

use sigstore_verify::Verifier;
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::types::DerCertificate;
use x509_cert::der::Decode as _;

use crate::oci::Digest;

/// The largest file that is read as a trust root, in bytes.
pub const LARGEST_ROOT: usize = 4 * 1024 * 1024;

/// No file has more roots than this.
const MOST_DOMAINS: usize = 16;

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";

/// When the roots that are built in were published, with the version of sigstore-trust-root in Cargo.lock.
const EMBEDDED: (&str, Duration) = ("0.15.1", Duration::from_secs(1_792_713_600));

/// A trust root, ready for use.
pub struct Root {
    origin: Origin,
    digest: Digest,
    as_of: Option<SystemTime>,
    newest: Option<SystemTime>,
    domains: Vec<Domain>,
}

/// Where a trust root comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is built in: sigstore's public one, and GitHub's.
    Embedded,
    /// It was given by the operator, by this name.
    File(String),
}

/// Why a text is no trust root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// It is too large, or has too many roots.
    #[error("it is larger than any trust root: {LARGEST_ROOT} bytes and {MOST_DOMAINS} roots are the most")]
    TooLarge,
    /// It is no trust root in JSON.
    #[error(
        "it is no trust root in JSON, as `cosign trusted-root create` or `gh attestation trusted-root` make it: {0}"
    )]
    Format(String),
    /// It can be read, and what it holds cannot be used.
    #[error("it cannot be used: {0}")]
    Unusable(String),
}

/// Certificate authorities with the logs and clocks that go with them.
pub(super) struct Domain {
    pub(super) name: String,
    pub(super) verifier: Verifier,
    pub(super) has_log: bool,
    pub(super) has_certificate_log: bool,
    logs: Vec<Vec<u8>>,
    authorities: Vec<x509_cert::name::Name>,
}

impl Root {
    /// The root that is built in: sigstore's public one, and GitHub's for its private repositories.
    ///
    /// # Errors
    /// Fails only if what is built in cannot be read, which a test rules out.
    pub fn embedded() -> Result<Self, RootError> {
        let instances = [SigstoreInstance::PublicGood, SigstoreInstance::GitHub];
        let text = instances.map(SigstoreInstance::embedded_trusted_root_json).join("\n");
        Self::read(Origin::Embedded, &text, Some(SystemTime::UNIX_EPOCH + EMBEDDED.1))
    }

    /// Reads the text of a file that messages call `name`. `as_of` is when it was written, as far as that is known.
    ///
    /// # Errors
    /// Fails at what is no trust root, and at keys and certificates in it that cannot be used.
    pub fn from_json(name: &str, text: &str, as_of: Option<SystemTime>) -> Result<Self, RootError> {
        Self::read(Origin::File(name.to_owned()), text, as_of)
    }

    fn read(origin: Origin, text: &str, as_of: Option<SystemTime>) -> Result<Self, RootError> {
        if text.len() > LARGEST_ROOT {
            return Err(RootError::TooLarge);
        }
        let mut newest = None;
        let mut domains = Vec::new();
        for root in serde_json::Deserializer::from_str(text).into_iter::<TrustedRoot>() {
            let root = root.map_err(|error| RootError::Format(super::fault::shown(&error.to_string())))?;
            if !root.media_type.starts_with(MEDIA_TYPE) {
                let found = super::fault::shown(&root.media_type);
                return Err(RootError::Format(format!("its media type is `{found}`")));
            }
            if domains.len() == MOST_DOMAINS {
                return Err(RootError::TooLarge);
            }
            newest = newest.max(newest_start(&root));
            domains.push(Domain::new(&root)?);
        }
        if domains.is_empty() {
            return Err(RootError::Format("it is empty".to_owned()));
        }
        Ok(Self { origin, digest: Digest::sha256(text.as_bytes()), as_of, newest, domains })
    }

    /// Where it comes from.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The SHA-256 digest of its text.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// When it was published or written, as far as that is known.
    #[must_use]
    pub const fn as_of(&self) -> Option<SystemTime> {
        self.as_of
    }

    /// Since when the newest of its keys and certificates counts: it is not older than that.
    #[must_use]
    pub const fn newest(&self) -> Option<SystemTime> {
        self.newest
    }

    /// The domains that can have issued a certificate, told by the names of their authorities; the first one if none
    /// can. This only chooses who is asked: the verifier trusts no names.
    pub(super) fn domains_of(&self, chain: &[DerCertificate]) -> Vec<&Domain> {
        let issuers: Vec<_> = chain
            .iter()
            .filter_map(|der| x509_cert::Certificate::from_der(der.as_bytes()).ok())
            .map(|certificate| certificate.tbs_certificate.issuer)
            .collect();
        let can_have = |domain: &&Domain| issuers.iter().any(|issuer| domain.authorities.contains(issuer));
        let found: Vec<&Domain> = self.domains.iter().filter(can_have).collect();
        if found.is_empty() { self.domains.iter().take(1).collect() } else { found }
    }

    /// The domain that has a log with this key id.
    pub(super) fn domain_of_log(&self, log_id: &[u8]) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.logs.iter().any(|id| id == log_id))
    }
}

impl Domain {
    fn new(root: &TrustedRoot) -> Result<Self, RootError> {
        let unusable = |why: String| RootError::Unusable(super::fault::shown(&why));
        let verifier = Verifier::new(root).map_err(|error| unusable(error.to_string()))?;
        let authorities = root
            .certificate_authorities
            .iter()
            .flat_map(|authority| &authority.cert_chain.certificates)
            .map(|entry| x509_cert::Certificate::from_der(entry.raw_bytes.as_bytes()))
            .map(|certificate| certificate.map(|certificate| certificate.tbs_certificate.subject))
            .collect::<Result<_, _>>()
            .map_err(|error| unusable(error.to_string()))?;
        let name = root
            .certificate_authorities
            .last()
            .map(|authority| authority.uri.as_str())
            .or_else(|| root.tlogs.last().map(|log| log.base_url.as_str()))
            .unwrap_or("without a name");
        Ok(Self {
            name: super::fault::shown(name),
            verifier,
            has_log: !root.tlogs.is_empty(),
            has_certificate_log: !root.ctlogs.is_empty(),
            logs: root.tlogs.iter().map(|log| log.log_id.key_id.as_bytes().to_vec()).collect(),
            authorities,
        })
    }
}

/// Since when the newest part of a root counts.
fn newest_start(root: &TrustedRoot) -> Option<SystemTime> {
    let logs = root.tlogs.iter().map(|log| log.public_key.valid_for);
    let certificate_logs = root.ctlogs.iter().map(|log| log.public_key.valid_for);
    let authorities = root.certificate_authorities.iter().map(|authority| authority.valid_for);
    let clocks = root.timestamp_authorities.iter().map(|authority| authority.valid_for);
    logs.chain(certificate_logs)
        .chain(authorities)
        .chain(clocks)
        .flatten()
        .map(|range| SystemTime::from(range.start))
        .max()
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("origin", &self.origin)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("built in"),
            Self::File(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_can_be_used_and_says_how_old_it_is() {
        let root = Root::embedded().expect("a root");
        assert_eq!(root.origin(), &Origin::Embedded);
        assert_eq!(root.domains.len(), 2);
        assert!(root.domains[0].has_log && root.domains[0].has_certificate_log);
        assert!(!root.domains[1].has_log && !root.domains[1].has_certificate_log);
        let (as_of, newest) = (root.as_of().expect("a date"), root.newest().expect("a start"));
        assert!(newest < as_of);
    }

    /// Whoever takes another version of the crate has to look up when it was published.
    #[test]
    fn the_date_of_what_is_built_in_belongs_to_its_version() {
        let lock = include_str!("../../Cargo.lock");
        let entry = format!("name = \"sigstore-trust-root\"\nversion = \"{}\"\n", EMBEDDED.0);
        assert!(lock.contains(&entry), "EMBEDDED is of another version than Cargo.lock");
    }

    #[test]
    fn several_roots_can_be_in_one_file() {
        let one = SigstoreInstance::PublicGood.embedded_trusted_root_json();
        let two = format!("{one}\n{}", SigstoreInstance::GitHub.embedded_trusted_root_json());
        let root = Root::from_json("root.jsonl", &two, None).expect("a root");
        assert_eq!(root.domains.len(), 2);
        assert_eq!(root.as_of(), None);
        assert_eq!(root.origin().to_string(), "root.jsonl");
    }

    #[test]
    fn what_is_no_root_is_refused() {
        let read = |text: &str| Root::from_json("root.json", text, None).map(|_| ());
        let good = SigstoreInstance::PublicGood.embedded_trusted_root_json();
        for text in ["", "[]", "{}", "x", "{\"mediaType\": \"text/plain\"}", &format!("{good} x")] {
            assert!(matches!(read(text), Err(RootError::Format(_))), "{text:.40}");
        }
        assert_eq!(read(&" ".repeat(LARGEST_ROOT + 1)), Err(RootError::TooLarge));
        let broken = good.replacen("MIIB", "MIIC", 1);
        assert_ne!(broken, good);
        assert!(read(&broken).is_err());
        assert_eq!(read(&format!("{good}\n").repeat(MOST_DOMAINS + 1)), Err(RootError::TooLarge));
    }
}
