//! in-toto statements (Statement v0.1 and v1): what an attestation says of an image, and whether a rule asks for it.
//!
//! A statement is about the images whose digests are among its subjects. Of provenance (SLSA v0.1 to v1) the builder
//! and the source are compared; of SBOMs nothing but their type. What a statement says is its signer's word: it is
//! looked at only for what signers of the rule signed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::fault::{Check, Fault};
use super::pattern::{Matcher, MatcherError};
use crate::oci::Digest;

/// The type of in-toto's payloads in a DSSE envelope.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];

/// What cosign 3 signs in place of a payload: a statement that says no more than that it was signed.
const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// An attestation that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// SLSA provenance.
    Provenance {
        /// The builder's id, if one is asked for.
        builder: Option<Matcher>,
        /// The repository that was built, as [`Source::parse`] reads it, if one is asked for.
        source: Option<Source>,
    },
    /// An SBOM in SPDX.
    Spdx,
    /// An SBOM in `CycloneDX`.
    CycloneDx,
    /// Any other statement, by its exact predicate type.
    Other(String),
}

/// A repository that something is built from: `github.com/org/app`, without scheme, ref and `.git`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(String);

impl Source {
    /// Reads `github.com/org/app`, also with `https://` or `git+https://` before it and `.git` behind it.
    ///
    /// # Errors
    /// Fails at a pattern, at what no address has, and at an address without a repository.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        Matcher::exact(text)?;
        match Self::of(text) {
            Some(source) if source.0.split('/').filter(|part| !part.is_empty()).count() >= 2 => Ok(source),
            _ => Err(MatcherError::TooWide("write the repository, such as `github.com/org/app`")),
        }
    }

    /// The repository of a URI as provenance has it, `git+https://github.com/org/app@refs/heads/main`.
    fn of(uri: &str) -> Option<Self> {
        let uri = uri.strip_prefix("git+").unwrap_or(uri);
        let address = uri.split_once("://").map_or(uri, |(_, address)| address);
        let (host, path) = address.split_once('/')?;
        // A name before the host, as in `https://github.com@example.com/`, would make it another one.
        if host.contains('@') {
            return None;
        }
        let path = path.split(['@', '?', '#']).next()?.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        Some(Self(format!("{host}/{path}")))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provenance { builder, source } => {
                f.write_str("SLSA provenance")?;
                if let Some(builder) = builder {
                    write!(f, " of the builder {builder}")?;
                }
                source.as_ref().map_or(Ok(()), |source| write!(f, " from {source}"))
            }
            Self::Spdx => f.write_str("an SPDX SBOM"),
            Self::CycloneDx => f.write_str("a CycloneDX SBOM"),
            Self::Other(kind) => write!(f, "a statement of the type {kind}"),
        }
    }
}

/// A statement, read and not yet believed.
#[derive(Debug)]
pub(super) struct Statement {
    subjects: Vec<BTreeMap<String, String>>,
    pub(super) kind: String,
    predicate: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

/// Reads a statement that has to be about `subject`.
pub(super) fn read(payload_type: &str, payload: &[u8], subject: &Digest) -> Result<Statement, Fault> {
    if payload_type != PAYLOAD_TYPE {
        return Err(Fault::unsupported(&format!("its envelope holds `{payload_type}`")));
    }
    let wire: Wire = serde_json::from_slice(payload)
        .map_err(|error| Fault::format(format_args!("its statement is not readable: {error}")))?;
    if !TYPES.contains(&wire.kind.as_str()) {
        return Err(Fault::unsupported(&format!("its statement is of the type `{}`", wire.kind)));
    }
    let statement = Statement {
        subjects: wire.subject.into_iter().map(|subject| subject.digest).collect(),
        kind: wire.predicate_type,
        predicate: wire.predicate,
    };
    if statement.covers(subject) { Ok(statement) } else { Err(statement.other_subject()) }
}

impl Statement {
    fn covers(&self, subject: &Digest) -> bool {
        let hex = subject.hex();
        self.subjects.iter().any(|digests| digests.get(subject.algorithm()) == Some(&hex))
    }

    fn other_subject(&self) -> Fault {
        let first = self.subjects.iter().find_map(|digests| digests.iter().next());
        let detail = match first {
            Some((algorithm, hex)) if self.subjects.len() == 1 => format!("it is about {algorithm}:{hex}"),
            _ => format!("its statement has {} subjects, none of them this image", self.subjects.len()),
        };
        Fault::new(Check::Digest, &detail)
    }

    /// Whether it says no more than that the image was signed.
    pub(super) fn is_signature(&self) -> bool {
        self.kind == COSIGN_SIGN
    }

    fn text(&self, pointers: &[&str]) -> Option<&str> {
        pointers.iter().find_map(|pointer| self.predicate.pointer(pointer)).and_then(Value::as_str)
    }

    fn builder(&self) -> Option<&str> {
        self.text(&["/runDetails/builder/id", "/builder/id"])
    }

    /// What was built: the source that the build was started with, and the first thing that it used only where that is
    /// not said. Other things that a build used are not its source.
    fn source(&self) -> Option<Source> {
        const STATED: [&str; 6] = [
            "/buildDefinition/externalParameters/workflow/repository",
            "/buildDefinition/externalParameters/source/uri",
            "/buildDefinition/externalParameters/source",
            "/buildDefinition/resolvedDependencies/0/uri",
            "/invocation/configSource/uri",
            "/materials/0/uri",
        ];
        self.text(&STATED).and_then(Source::of)
    }
}

impl Wanted {
    /// Whether a statement is of the kind that is asked for, whatever it says.
    pub(super) fn is_kind(&self, statement: &Statement) -> bool {
        let below = |start: &str| {
            statement.kind.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self {
            Self::Provenance { .. } => below("https://slsa.dev/provenance"),
            Self::Spdx => below("https://spdx.dev/Document"),
            Self::CycloneDx => below("https://cyclonedx.org/bom") || below("https://cyclonedx.org/schema"),
            Self::Other(kind) => statement.kind == *kind,
        }
    }

    /// Whether a statement of that kind says what is asked.
    pub(super) fn check(&self, statement: &Statement) -> Result<(), Fault> {
        let Self::Provenance { builder, source } = self else { return Ok(()) };
        if let Some(builder) = builder
            && !statement.builder().is_some_and(|found| builder.matches(found))
        {
            let found = statement.builder().unwrap_or("no builder");
            return Err(Fault::new(Check::Statement, &format!("its builder is {found}, not {builder}")));
        }
        if let Some(source) = source {
            let found = statement.source();
            if found.as_ref() != Some(source) {
                let found = found.map_or_else(|| "nothing that is said".to_owned(), |found| found.0);
                return Err(Fault::new(
                    Check::Statement,
                    &format!("it was built from {found}, not {source}"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
