//! Who signed without a key of their own: what Fulcio's certificates say of them, and what a rule asks.
//!
//! The issuer is always exact. An identity states the certificate's subject (exactly or by a pattern), or what GitHub
//! says of the workflow that asked for the certificate, or both; all that it states has to fit. Of the certificate's
//! extensions (1.3.6.1.4.1.57264.1) the current ones count, and the deprecated ones only where those are absent.

use std::fmt;

use sigstore_verify::crypto::CertificateInfo;

use super::fault::shown;
use super::pattern::{Matcher, MatcherError};

/// The issuer of the identities of workflows on github.com.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

const GITHUB: &str = "https://github.com";

/// An identity that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    issuer: String,
    subject: Option<Matcher>,
    workflow: Option<Workflow>,
}

/// What GitHub says of a workflow: in which repository it ran, from which file, at which ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// With its server: `https://github.com/org/app`.
    repository: String,
    file: Option<String>,
    reference: Option<Matcher>,
}

/// Why something is no identity to ask for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// An issuer is missing, or a pattern.
    #[error("the issuer is not usable: {0}; write its address, such as `{GITHUB_ISSUER}`")]
    Issuer(MatcherError),
    /// The issuer is no https address.
    #[error("the issuer begins with `https://`, such as `{GITHUB_ISSUER}`")]
    IssuerScheme,
    /// Neither a subject nor a workflow is stated.
    #[error("it names only an issuer, at which everybody can sign; state whose signature is meant as well")]
    Everybody,
    /// The repository of a workflow is not usable.
    #[error(
        "a repository is written `owner/name`, or with its server, `https://github.example.com/owner/name`"
    )]
    Repository,
    /// The file of a workflow is not usable.
    #[error("a workflow is written as its file in the repository, `.github/workflows/release.yml`")]
    File,
    /// The ref of a workflow is not usable.
    #[error("the ref is not usable: {0}")]
    Reference(MatcherError),
}

impl Workflow {
    /// A workflow of `repository`, `owner/name` on github.com or with another server's address before it; of one
    /// `file` in it and at one `reference` (or a pattern of refs), where these are stated.
    ///
    /// # Errors
    /// Fails at what is none of these.
    pub fn new(repository: &str, file: Option<&str>, reference: Option<&str>) -> Result<Self, IdentityError> {
        Matcher::exact(repository).map_err(|_| IdentityError::Repository)?;
        let (server, path) = match repository.strip_prefix("https://") {
            None => (GITHUB.to_owned(), repository),
            Some(rest) => {
                let (host, path) = rest.split_once('/').ok_or(IdentityError::Repository)?;
                (format!("https://{host}"), path)
            }
        };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| is_name(part)) || server.len() <= "https://".len() {
            return Err(IdentityError::Repository);
        }
        if let Some(file) = file {
            let is_file = Matcher::exact(file).is_ok() && file.starts_with(".github/workflows/");
            if !is_file || file.contains(['@', '?', '#']) {
                return Err(IdentityError::File);
            }
        }
        let reference = reference.map(Matcher::reference).transpose().map_err(IdentityError::Reference)?;
        Ok(Self { repository: format!("{server}/{path}"), file: file.map(str::to_owned), reference })
    }
}

/// Whether it can be the name of an owner or of a repository.
fn is_name(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl Identity {
    /// What `issuer` vouches for: a subject, a workflow, or a workflow with that subject.
    ///
    /// # Errors
    /// Fails without an exact issuer, and if everybody at the issuer would be meant.
    pub fn new(
        issuer: &str,
        subject: Option<Matcher>,
        workflow: Option<Workflow>,
    ) -> Result<Self, IdentityError> {
        Matcher::exact(issuer).map_err(IdentityError::Issuer)?;
        if !issuer.starts_with("https://") || issuer.len() <= "https://".len() {
            return Err(IdentityError::IssuerScheme);
        }
        if subject.is_none() && workflow.is_none() {
            return Err(IdentityError::Everybody);
        }
        Ok(Self { issuer: issuer.to_owned(), subject, workflow })
    }

    /// Whether somebody is meant.
    ///
    /// # Errors
    /// Says what does not fit.
    pub(super) fn check(&self, signer: &Signatory) -> Result<(), Mismatch> {
        if signer.issuer.as_deref() != Some(self.issuer.as_str()) {
            return Err(Mismatch::Issuer);
        }
        if let Some(subject) = &self.subject
            && !signer.subject.as_deref().is_some_and(|found| subject.matches(found))
        {
            return Err(Mismatch::Subject);
        }
        let Some(workflow) = &self.workflow else { return Ok(()) };
        if signer.repository.as_deref() != Some(workflow.repository.as_str()) {
            return Err(Mismatch::Repository);
        }
        if let Some(file) = &workflow.file {
            let start = format!("{}/{file}@", workflow.repository);
            if !signer.workflow.as_deref().is_some_and(|found| found.starts_with(&start)) {
                return Err(Mismatch::Workflow);
            }
        }
        match (&workflow.reference, signer.reference.as_deref()) {
            (None, _) => Ok(()),
            (Some(reference), Some(found)) if reference.matches(found) => Ok(()),
            (Some(_), _) => Err(Mismatch::Reference),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.subject, &self.workflow) {
            (Some(subject), _) => write!(f, "`{subject}`")?,
            (None, _) => f.write_str("a workflow")?,
        }
        if let Some(workflow) = &self.workflow {
            write!(f, " of {}", workflow.repository)?;
            if let Some(file) = &workflow.file {
                write!(f, ", {file}")?;
            }
            if let Some(reference) = &workflow.reference {
                write!(f, ", at {reference}")?;
            }
        }
        write!(f, " (issuer {})", self.issuer)
    }
}

/// What of an identity does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mismatch {
    Issuer,
    Subject,
    Repository,
    Workflow,
    Reference,
}

impl Mismatch {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "the issuer differs",
            Self::Subject => "the identity differs",
            Self::Repository => "the repository differs",
            Self::Workflow => "the workflow's file differs",
            Self::Reference => "the ref differs",
        }
    }
}

/// Whom a certificate was given to. The texts are as the certificate has them; who shows them has to escape them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatory {
    /// An e-mail address, or the URI of a workflow's file.
    pub subject: Option<String>,
    /// Who vouched for it.
    pub issuer: Option<String>,
    /// The repository that the workflow ran in, as a URI.
    pub repository: Option<String>,
    /// The workflow's file with its ref, as a URI: the one that was started, not one that it called.
    pub workflow: Option<String>,
    /// The ref that the workflow ran for.
    pub reference: Option<String>,
    /// The commit that the workflow ran for.
    pub commit: Option<String>,
    /// Where the run can be looked at.
    pub run: Option<String>,
}

impl Signatory {
    pub(super) fn of(certificate: &CertificateInfo) -> Self {
        let subject = certificate.identity.as_ref().map(|name| name.as_str().to_owned());
        let claims = &certificate.ci_claims;
        let old = &claims.deprecated_github;
        // Certificates from before the current extensions have `owner/name` and nothing of the server.
        let old_repository = old.workflow_repository.as_ref().map(|name| format!("{GITHUB}/{name}"));
        let is_workflow = |subject: &String| subject.contains("/.github/workflows/");
        Self {
            repository: claims.source_repository_uri.clone().or(old_repository),
            workflow: claims.build_config_uri.clone().or_else(|| subject.clone().filter(is_workflow)),
            reference: claims.source_repository_ref.clone().or_else(|| old.workflow_ref.clone()),
            commit: claims.source_repository_digest.clone().or_else(|| old.workflow_sha.clone()),
            run: claims.run_invocation_uri.clone(),
            issuer: certificate.issuer.clone(),
            subject,
        }
    }
}

impl fmt::Display for Signatory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "`{}`", shown(subject))?,
            None => f.write_str("somebody without a name")?,
        }
        match &self.issuer {
            Some(issuer) => write!(f, " (issuer {})", shown(issuer)),
            None => f.write_str(" (no issuer)"),
        }
    }
}

#[cfg(test)]
mod tests;
