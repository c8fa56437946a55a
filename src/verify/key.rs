//! Public keys as operators give them: PEM, ECDSA P-256 and P-384, RSA from 2,048 bits, Ed25519.
//!
//! It never holds a private key: one that is given by mistake is refused, and its text is not repeated.

use std::fmt;

use sigstore_verify::crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_verify::types::{DerPublicKey, SignatureBytes};

use crate::oci::Digest;

/// The largest PEM text that is looked at; an RSA key of 8,192 bits has less than 2 KiB.
const LARGEST: usize = 16 * 1024;

/// A public key, and what messages call it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    der: DerPublicKey,
    algorithm: KeyAlgorithm,
}

/// Why a text is no public key. The text itself is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is a private key.
    #[error("it is a private key, which does not belong here; give the public key, such as cosign.pub")]
    Private,
    /// It is a certificate.
    #[error("it is a certificate; give the public key, which begins with `-----BEGIN PUBLIC KEY-----`")]
    Certificate,
    /// It is nothing that can be read.
    #[error("it is no public key in PEM, which begins with `-----BEGIN PUBLIC KEY-----`")]
    NotPem,
    /// There is more than one.
    #[error("it has more than one key; give each one by itself")]
    Several,
    /// A kind or a size of key that is not used for signatures of images.
    #[error(
        "it is a key of a kind that cannot be used; use ECDSA P-256 or P-384, RSA from 2048 bits, or Ed25519"
    )]
    Unsupported,
}

impl PublicKey {
    /// Reads the one key of a PEM text; messages call it `name`, such as its file.
    ///
    /// # Errors
    /// Fails at anything but one public key of a kind that can be used.
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, KeyError> {
        if pem.len() > LARGEST {
            return Err(KeyError::NotPem);
        }
        if pem.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        if pem.contains("BEGIN CERTIFICATE") {
            return Err(KeyError::Certificate);
        }
        match pem.matches("-----BEGIN PUBLIC KEY-----").count() {
            0 => return Err(KeyError::NotPem),
            1 => {}
            _ => return Err(KeyError::Several),
        }
        let der = DerPublicKey::from_pem(pem.trim()).map_err(|_| KeyError::NotPem)?;
        let algorithm = KeyAlgorithm::from_spki(&der).map_err(|_| KeyError::Unsupported)?;
        let key = Self { name: name.to_owned(), der, algorithm };
        match key.schemes() {
            [] => Err(KeyError::Unsupported),
            [first, ..] => {
                VerificationKey::from_spki_with_scheme(&key.der, *first)
                    .map_err(|_| KeyError::Unsupported)?;
                Ok(key)
            }
        }
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SHA-256 digest of the key in DER: the same for the same key, however its PEM is written.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(self.der.as_bytes())
    }

    pub(super) const fn der(&self) -> &DerPublicKey {
        &self.der
    }

    /// The ways in which cosign signs with a key of this kind, over the years.
    const fn schemes(&self) -> &'static [SigningScheme] {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => &[SigningScheme::EcdsaP256Sha256],
            KeyAlgorithm::EcdsaP384 => &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256],
            KeyAlgorithm::Rsa => {
                &[SigningScheme::RsaPkcs1Sha256, SigningScheme::RsaPkcs1Sha384, SigningScheme::RsaPkcs1Sha512]
            }
            KeyAlgorithm::Ed25519 => &[SigningScheme::Ed25519],
            _ => &[],
        }
    }

    /// Whether this key signed `message`.
    pub(super) fn signed(&self, message: &[u8], signature: &SignatureBytes) -> bool {
        self.schemes().iter().any(|scheme| {
            VerificationKey::from_spki_with_scheme(&self.der, *scheme)
                .is_ok_and(|key| key.verify(message, signature).is_ok())
        })
    }

    /// Whether this key signed a message with this digest; `None` if a key of this kind needs the message itself.
    pub(super) fn signed_digest(&self, digest: &Digest, signature: &SignatureBytes) -> Option<bool> {
        let mut schemes = self
            .schemes()
            .iter()
            .filter(|scheme| {
                scheme.hash_algorithm().is_some_and(|hash| hash.digest_size() == digest.as_bytes().len())
            })
            .peekable();
        schemes.peek()?;
        Some(schemes.any(|scheme| {
            VerificationKey::from_spki_with_scheme(&self.der, *scheme)
                .is_ok_and(|key| key.verify_prehashed(digest.as_bytes(), signature).is_ok())
        }))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("name", &self.name)
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}` ({}…)", self.name, self.fingerprint().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pem: &str) -> Result<PublicKey, KeyError> {
        PublicKey::from_pem("cosign.pub", pem)
    }

    #[test]
    fn a_key_is_known_by_its_content() {
        let pem = rcgen::KeyPair::generate().expect("a key").public_key_pem();
        let key = read(&pem).expect("a key");
        assert_eq!(key.name(), "cosign.pub");
        let other_lines = read(&format!("\n{}\n\n", pem.replace('\n', "\r\n"))).expect("a key");
        assert_eq!(key.fingerprint(), other_lines.fingerprint());
        assert_eq!(key.to_string(), format!("key `cosign.pub` ({}…)", key.fingerprint().short()));
    }

    #[test]
    fn what_is_no_public_key_says_what_it_is() {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let public = pair.public_key_pem();
        assert_eq!(read(&pair.serialize_pem()), Err(KeyError::Private));
        assert_eq!(read("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"), Err(KeyError::Private));
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).expect("a certificate");
        assert_eq!(read(&certificate.pem()), Err(KeyError::Certificate));
        assert_eq!(read(&format!("{public}{public}")), Err(KeyError::Several));
        for text in ["", "cosign.pub", "-----BEGIN PUBLIC KEY-----", &"x".repeat(LARGEST + 1)] {
            assert_eq!(read(text), Err(KeyError::NotPem), "{text:.40}");
        }
    }

    #[test]
    fn kinds_that_cannot_be_used_are_refused() {
        let pem = |der: &[u8]| DerPublicKey::from_bytes(der).to_pem();
        assert_eq!(read(&pem(b"no key")), Err(KeyError::Unsupported));
        let p521 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).expect("a key");
        assert_eq!(read(&p521.public_key_pem()), Err(KeyError::Unsupported));
        let rsa = |bits: usize| {
            // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { SEQUENCE { modulus, 65537 } } }
            let size = bits / 8;
            let length = |length: usize| {
                [vec![0x82], u16::try_from(length).expect("short").to_be_bytes().into()].concat()
            };
            let modulus = [vec![0x02], length(size + 1), vec![0], vec![0xff; size]].concat();
            let exponent = vec![0x02, 0x03, 1, 0, 1];
            let key = [vec![0x30], length(modulus.len() + exponent.len()), modulus, exponent].concat();
            let algorithm = hex::decode("300d06092a864886f70d0101010500").expect("hex");
            let bits = [vec![0x03], length(key.len() + 1), vec![0], key].concat();
            [vec![0x30], length(algorithm.len() + bits.len()), algorithm, bits].concat()
        };
        assert!(read(&pem(&rsa(2048))).is_ok());
        assert_eq!(read(&pem(&rsa(1024))), Err(KeyError::Unsupported));
    }
}
