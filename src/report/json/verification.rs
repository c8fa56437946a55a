//! What signatures are worth, as the JSON document has it: its types, and the way to them and back.

use std::borrow::Cow;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{Checked, Made, Signer, SignerName, Signing};
use crate::report::TrustRoot;

/// What came of checking an image by the policy's rule for its source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Verification")]
pub struct VerificationDocument {
    /// Where the rule is stated.
    pub rule: String,
    /// The digest of the manifest whose signatures were checked: the source's, before platforms are left out of it.
    pub subject: String,
    /// What its signatures are worth: `verified` by what the rule asks for, `unsigned` if there is none that could be
    /// checked, `refused` if there are some and none is what the rule asks for, `not-asked` if the rule asks for none.
    #[schemars(extend("enum" = ["verified", "unsigned", "refused", "not-asked"]))]
    pub result: Cow<'static, str>,
    /// Who signed, if it is verified.
    pub signers: Vec<SignerDocument>,
    /// Why signatures do not count, if it is refused; what there is that cannot be checked, if it is unsigned.
    pub reasons: Vec<String>,
    /// When it was made; `null` if the rule does not ask for its age, or it is not to be copied.
    pub made: Option<MadeDocument>,
}

/// Who signed an image, as it was verified.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Signer")]
pub struct SignerDocument {
    /// What the signer is known by.
    #[schemars(extend("enum" = ["key", "identity"]))]
    pub kind: Cow<'static, str>,
    /// What the policy calls the key, or the identity in the certificate.
    pub name: String,
    /// The SHA-256 digest of the public key in DER.
    pub fingerprint: Option<String>,
    /// Who vouches for the identity.
    pub issuer: Option<String>,
    /// Where the signature is: a tag, or a referrer.
    pub place: String,
    /// The predicate type, if it is a signed statement about the image.
    pub statement: Option<String>,
    /// The name that the signer gave to the image. It is told and proves nothing.
    pub repository: Option<String>,
    /// When a transparency log took it in, as RFC 3339 has it.
    pub logged: Option<String>,
}

/// When an image was made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Made")]
pub struct MadeDocument {
    /// As RFC 3339 has it; `null` if nothing says so.
    pub at: Option<String>,
    /// How many seconds before the run that was.
    pub age_seconds: Option<u64>,
    /// Who says so: a transparency log, or only the image.
    #[schemars(extend("enum" = ["transparency-log", "image"]))]
    pub by: Cow<'static, str>,
}

/// Whom keyless signatures are checked by.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TrustRoot")]
pub struct TrustRootDocument {
    /// Where it is from: `embedded`, or the file.
    pub origin: String,
    /// The SHA-256 digest of its document.
    pub digest: String,
    /// When it was published, or its file written, as RFC 3339 has it; `null` if that is not known.
    pub published: Option<String>,
    /// Since when its newest key counts.
    pub newest: Option<String>,
    /// How many days before the run it was published or written.
    pub age_days: Option<u64>,
}

impl From<&TrustRoot> for TrustRootDocument {
    fn from(root: &TrustRoot) -> Self {
        Self {
            origin: root.origin.clone(),
            digest: root.digest.clone(),
            published: root.published.clone(),
            newest: root.newest.clone(),
            age_days: root.days,
        }
    }
}

impl From<TrustRootDocument> for TrustRoot {
    fn from(document: TrustRootDocument) -> Self {
        Self {
            origin: document.origin,
            digest: document.digest,
            published: document.published,
            newest: document.newest,
            days: document.age_days,
        }
    }
}

impl From<&Checked> for VerificationDocument {
    fn from(checked: &Checked) -> Self {
        let (signers, reasons) = match &checked.signing {
            Signing::Verified(signers) => (signers.iter().map(SignerDocument::from).collect(), Vec::new()),
            Signing::Refused(reasons) => (Vec::new(), reasons.clone()),
            Signing::Unsigned(instead) => (Vec::new(), instead.clone()),
            Signing::NotAsked => (Vec::new(), Vec::new()),
        };
        Self {
            rule: checked.rule.clone(),
            subject: checked.subject.to_string(),
            result: checked.signing.word().into(),
            signers,
            reasons,
            made: checked.made.as_ref().map(MadeDocument::from),
        }
    }
}

impl From<&Signer> for SignerDocument {
    fn from(signer: &Signer) -> Self {
        let (kind, name, (fingerprint, issuer)) = match &signer.name {
            SignerName::Key { name, fingerprint } => ("key", name, (Some(fingerprint.clone()), None)),
            SignerName::Identity { name, issuer } => ("identity", name, (None, Some(issuer.clone()))),
        };
        Self {
            kind: kind.into(),
            name: name.clone(),
            fingerprint,
            issuer,
            place: signer.place.clone(),
            statement: signer.statement.clone(),
            repository: signer.repository.clone(),
            logged: signer.logged.clone(),
        }
    }
}

impl From<&Made> for MadeDocument {
    fn from(made: &Made) -> Self {
        Self {
            at: made.at.clone(),
            age_seconds: made.age.map(|age| age.as_secs()),
            by: if made.logged { "transparency-log" } else { "image" }.into(),
        }
    }
}

impl From<MadeDocument> for Made {
    fn from(document: MadeDocument) -> Self {
        Self {
            at: document.at,
            age: document.age_seconds.map(Duration::from_secs),
            logged: document.by == "transparency-log",
        }
    }
}

impl From<SignerDocument> for Signer {
    fn from(document: SignerDocument) -> Self {
        let name = match document.issuer {
            Some(issuer) => SignerName::Identity { name: document.name, issuer },
            None => {
                SignerName::Key { name: document.name, fingerprint: document.fingerprint.unwrap_or_default() }
            }
        };
        Self {
            name,
            place: document.place,
            statement: document.statement,
            repository: document.repository,
            logged: document.logged,
        }
    }
}
