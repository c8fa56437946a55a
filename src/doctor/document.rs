//! The findings as a versioned JSON document, for programs. Its types are apart from the examination's, so that
//! those can change and the document does not; a change of meaning needs a new [`VERSION`].

use schemars::JsonSchema;
use serde::Serialize;

use super::{Told, exit_code};
use crate::registry::examination::{Check, Limit};
use crate::registry::quirks::{Chunks, Profile, Referrers, Repositories};
use crate::report::Interruption;

/// The version of the document.
pub(super) const VERSION: u32 = 1;

/// What `image-syncer doctor` found out of a registry.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "image-syncer doctor")]
pub(super) struct Document {
    /// The version of this format. Fields may be added within a version; none goes or changes its meaning.
    #[schemars(extend("const" = VERSION))]
    version: u32,
    /// The version of image-syncer that wrote it.
    image_syncer: String,
    /// The exit code: 0 all that was asked for works, 1 something does not or the time was over before, 130 and 143
    /// interrupted (SIGINT, SIGTERM).
    #[schemars(extend("enum" = [0, 1, 130, 143]))]
    exit_code: u8,
    /// What ended the examination before its time: `time-limit`, `SIGINT` or `SIGTERM`. Checks that were not finished
    /// are `unknown`.
    #[schemars(extend("enum" = ["time-limit", "SIGINT", "SIGTERM", null]))]
    interrupted: Option<&'static str>,
    /// The registry, as references name it.
    registry: String,
    /// The repository that rights were wanted for.
    repository: Option<String>,
    /// Where the registry is reached: scheme, host and port.
    address: String,
    /// What was looked at, in its order. What could not be looked at, since something before it failed, is left out.
    checks: Vec<CheckDocument>,
    /// What is left of the registry's quotas, as far as it says so.
    limits: Vec<LimitDocument>,
    /// What is known of the registry.
    profile: ProfileDocument,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Check")]
struct CheckDocument {
    /// What it belongs to.
    #[schemars(extend("enum" = ["connection", "login", "rights", "api"]))]
    area: &'static str,
    /// What was looked at.
    #[schemars(extend("enum" = ["name", "connection", "tls", "api", "credentials", "login", "pull", "push", "tags",
        "referrers", "oci-subject", "mount", "chunks", "delete"]))]
    name: &'static str,
    /// `ok`: it works, or it is there. `failed`: it has to work and does not. `no`: it is not there, or not allowed,
    /// and nobody asked for it. `unknown`: it could not be found out.
    #[schemars(extend("enum" = ["ok", "failed", "no", "unknown"]))]
    state: &'static str,
    /// What was seen, for people.
    message: String,
    /// What to do about it, for people.
    advice: Option<String>,
}

/// A header that says something of a quota.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Limit")]
struct LimitDocument {
    /// The header, in lower case.
    header: String,
    /// Its value, as it was sent.
    value: String,
    /// The number in it.
    number: Option<u64>,
    /// The window that it is for, in seconds.
    window_seconds: Option<u64>,
}

/// What is known of the registry.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Profile")]
struct ProfileDocument {
    /// Which registry it is, as a policy names it: `docker-hub`, `ghcr`, ….
    kind: &'static str,
    /// How that is known, for people.
    because: String,
    /// Whether uploads may go on in chunks.
    chunks: bool,
    /// The most bytes of a chunk, where there is a limit.
    chunk_bytes: Option<u64>,
    /// Whether blobs are mounted from other repositories.
    mount: bool,
    /// How referrers are found: by the API where there is one (`probe`), or under the fallback tag only (`tags`).
    #[schemars(extend("enum" = ["probe", "tags"]))]
    referrers: &'static str,
    /// So many tags are asked for in one page.
    page_size: u16,
    /// Whether a push creates its repository, as far as that is known.
    creates_repositories: bool,
}

/// The findings as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn json(told: &Told) -> String {
    let examination = &told.examination;
    let document = Document {
        version: VERSION,
        image_syncer: env!("CARGO_PKG_VERSION").to_owned(),
        exit_code: exit_code(told),
        interrupted: told.interruption.map(Interruption::word),
        registry: examination.registry.to_string(),
        repository: examination.repository.as_ref().map(ToString::to_string),
        address: examination.address.clone(),
        checks: examination.checks.iter().map(CheckDocument::from).collect(),
        limits: examination.limits.iter().map(LimitDocument::from).collect(),
        profile: ProfileDocument::from(&examination.profile),
    };
    // Strings, numbers, lists and structures: nothing in the document can fail to be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

impl From<&Check> for CheckDocument {
    fn from(check: &Check) -> Self {
        Self {
            area: check.area.word(),
            name: check.name,
            state: check.state.word(),
            message: check.message.clone(),
            advice: check.advice.clone(),
        }
    }
}

impl From<&Limit> for LimitDocument {
    fn from(limit: &Limit) -> Self {
        Self {
            header: limit.header.clone(),
            value: limit.value.clone(),
            number: limit.number,
            window_seconds: limit.window,
        }
    }
}

impl From<&Profile> for ProfileDocument {
    fn from(profile: &Profile) -> Self {
        let (chunks, chunk_bytes) = match profile.chunks {
            Chunks::Never => (false, None),
            Chunks::Allowed { at_most } => (true, at_most),
        };
        Self {
            kind: profile.kind.word(),
            because: profile.evidence.to_string(),
            chunks,
            chunk_bytes,
            mount: profile.mount,
            referrers: match profile.referrers {
                Referrers::Probe => "probe",
                Referrers::Tags => "tags",
            },
            page_size: profile.page_size,
            creates_repositories: profile.repositories == Repositories::OnPush,
        }
    }
}
