//! Content digests: `algorithm:hex` (OCI image-spec, descriptor.md, "Digests").
//!
//! Only the algorithms registered by the specification are accepted, each with exactly its own length,
//! in lower case. A digest is held as bytes, so that a hundred thousand of them stay cheap.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256, Sha512};

/// A content digest: `sha256:` and 64 hex digits, or `sha512:` and 128.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// SHA-256, what practically all content uses.
    Sha256([u8; 32]),
    /// SHA-512.
    Sha512(Box<[u8; 64]>),
}

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` between algorithm and hex digits.
    #[error("a digest is written `sha256:` and 64 hex digits")]
    NoSeparator,
    /// The algorithm is not one that the specification registers.
    #[error("the digest algorithm `{0}` is not known; use sha256 or sha512")]
    UnknownAlgorithm(String),
    /// Too many or too few digits.
    #[error("a {algorithm} digest has {expected} hex digits; this one has {found}")]
    Length {
        /// The algorithm's name.
        algorithm: &'static str,
        /// How many hex digits the algorithm gives.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A character that is no lower-case hex digit.
    #[error("a digest holds the characters 0-9 and a-f only; this one has `{0}`")]
    Character(char),
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }

    /// The digest of `bytes` under the algorithm of this digest, to compare with it.
    #[must_use]
    pub fn same_algorithm(&self, bytes: &[u8]) -> Self {
        let mut digester = Digester::new(self);
        digester.update(bytes);
        digester.finish()
    }

    /// `sha256` or `sha512`.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The hex digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// The first twelve hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.hex();
        text.truncate(12);
        text
    }

    /// The digest as raw bytes, 32 or 64 of them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => &bytes[..],
        }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, digits) = text.split_once(':').ok_or(DigestError::NoSeparator)?;
        match algorithm {
            "sha256" => decode::<32>("sha256", digits).map(Self::Sha256),
            "sha512" => decode::<64>("sha512", digits).map(|bytes| Self::Sha512(Box::new(bytes))),
            other => Err(DigestError::UnknownAlgorithm(other.chars().take(32).collect())),
        }
    }
}

fn decode<const N: usize>(algorithm: &'static str, digits: &str) -> Result<[u8; N], DigestError> {
    if let Some(bad) = digits.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
        return Err(DigestError::Character(bad));
    }
    let mut bytes = [0_u8; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestError::Length {
        algorithm,
        expected: 2 * N,
        found: digits.len(),
    })?;
    Ok(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a digest piece by piece.
#[derive(Debug, Clone)]
pub enum Digester {
    /// Computing SHA-256.
    Sha256(Sha256),
    /// Computing SHA-512.
    Sha512(Box<Sha512>),
}

impl Digester {
    /// A digester for the algorithm that `like` uses.
    #[must_use]
    pub fn new(like: &Digest) -> Self {
        match like {
            Digest::Sha256(_) => Self::Sha256(Sha256::new()),
            Digest::Sha512(_) => Self::Sha512(Box::default()),
        }
    }

    /// A digester for the algorithm that most content uses, where no digest is known beforehand.
    #[must_use]
    pub fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// Takes the next piece of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all pieces so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Self::Sha512(hasher) => Digest::Sha512(Box::new(hasher.finalize().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_the_way_through_text() {
        let digest = Digest::sha256(b"");
        assert_eq!(
            digest.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
        assert_eq!(digest.short(), "e3b0c44298fc");
        assert_eq!(digest.same_algorithm(b""), digest);
    }

    #[test]
    fn what_is_not_a_digest_is_named() {
        assert_eq!("abc".parse::<Digest>(), Err(DigestError::NoSeparator));
        assert_eq!("md5:00".parse::<Digest>(), Err(DigestError::UnknownAlgorithm("md5".into())));
        assert_eq!(
            "sha256:00".parse::<Digest>(),
            Err(DigestError::Length { algorithm: "sha256", expected: 64, found: 2 })
        );
        assert_eq!("sha256:AB".parse::<Digest>(), Err(DigestError::Character('A')));
    }
}
