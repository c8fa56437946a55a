//! What was found as a versioned JSON document, for programs. Its types are apart from those of the look-up, so that
//! those can change and the document does not; a change of meaning needs a new [`VERSION`].

use schemars::JsonSchema;
use serde::Serialize;

use super::{Finding, Found, exit_code};
use crate::config::ListedSource;
use crate::report::Interruption;

/// The version of the document.
const VERSION: u32 = 1;

/// What `image-syncer pin` found and did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "image-syncer pin")]
pub(super) struct Document {
    /// The version of this format. Fields may be added within a version; none goes or changes its meaning.
    #[schemars(extend("const" = VERSION))]
    version: u32,
    /// The version of image-syncer that wrote it.
    image_syncer: String,
    /// The exit code: 0 done, 1 something could not be looked up or not be written, or the time was over before, 3 the policy does not
    /// allow a source or `--check` found one without digest, 130 and 143 interrupted (SIGINT, SIGTERM).
    #[schemars(extend("enum" = [0, 1, 3, 130, 143]))]
    exit_code: u8,
    /// What ended it before its time: `time-limit`, `SIGINT` or `SIGTERM`. Nothing is written then.
    #[schemars(extend("enum" = ["time-limit", "SIGINT", "SIGTERM", null]))]
    interrupted: Option<&'static str>,
    /// What was asked for.
    #[schemars(extend("enum" = ["pin", "update", "check"]))]
    mode: &'static str,
    /// The lists that were written anew.
    changed: Vec<String>,
    /// All sources of all lists, in their order.
    sources: Vec<SourceDocument>,
}

/// A source of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Source")]
struct SourceDocument {
    /// The list, as it was named.
    file: String,
    /// Where the source stands, counted from 1.
    line: u32,
    /// Counted from 1, in characters.
    column: u32,
    /// The source as it was written before.
    source: String,
    /// `kept`: it has a digest and keeps it. `pinned`: it had none, and gets the one that its tag has. `updated`: its tag
    /// has another one, which it gets. `floats`: it has none, and `--check` gives none. `refused`: the policy does not
    /// allow it. `failed`: its tag could not be looked up. With one that is refused or failed, nothing is written.
    #[schemars(extend("enum" = ["kept", "pinned", "updated", "floats", "refused", "failed"]))]
    state: &'static str,
    /// The digest that was written before.
    digest_before: Option<String>,
    /// The digest that was found for the tag, if it is another one than before.
    digest: Option<String>,
    /// Why it is refused or failed, for people.
    message: Option<String>,
}

/// What was found as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn json(found: &Found) -> String {
    let document = Document {
        version: VERSION,
        image_syncer: env!("CARGO_PKG_VERSION").to_owned(),
        exit_code: exit_code(found),
        interrupted: found.interruption.map(Interruption::word),
        mode: found.mode.word(),
        changed: found.changed.clone(),
        sources: found.all().map(|(source, finding)| SourceDocument::of(source, finding)).collect(),
    };
    // Strings, numbers, lists and structures: nothing in the document can fail to be written.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

impl SourceDocument {
    fn of(source: &ListedSource, finding: &Finding) -> Self {
        Self {
            file: source.location.file.to_string(),
            line: source.location.line,
            column: source.location.column,
            source: source.written.clone(),
            state: finding.word(),
            digest_before: source.reference.digest.as_ref().map(ToString::to_string),
            digest: finding.digest().map(ToString::to_string),
            message: match finding {
                Finding::Refused(message) | Finding::Failed(message) => Some(message.clone()),
                _ => None,
            },
        }
    }
}
