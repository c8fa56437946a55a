//! `policy explain`: what the policy says of one source. Nobody is asked.

use super::options::UsageError;
use crate::cli::{ExplainOptions, PlainFormat};
use crate::config::{self, ListFile, PrefixSources, Signatures};
use crate::explain::{self, Explained};
use crate::policy;
use crate::report::Look;

/// Where the images go if the policy does not say so. It is not shown: only what is below it matters.
const ANY_PREFIX: &str = "registry.example.com/";

/// Finds out what the policy says of the source that the options name.
pub(super) fn explain(options: &ExplainOptions) -> Result<Explained, UsageError> {
    let policy = policy::read(&options.policy_file).map_err(UsageError::Policy)?;
    // A list of this one source, so that it is read as one of a list, with the same words where it cannot be meant.
    let source = serde_json::Value::from(options.source.as_str());
    let list = ListFile { name: "the source".to_owned(), text: format!("images: [{{source: {source}}}]") };
    let prefix = PrefixSources {
        policy: policy.prefix(),
        command_line: policy.prefix().is_none().then_some(ANY_PREFIX),
        trusted: None,
    };
    let config = config::load(&[list], prefix, Signatures::Copy).map_err(|faults| {
        let message = faults.as_slice().first().map_or_else(String::new, |fault| fault.message.clone());
        UsageError::Option(format!("this is no source of a list: {message}"))
    })?;
    let Some(entry) = config.entries.first() else {
        return Err(UsageError::Option("this is no source of a list".to_owned()));
    };
    let below = config.prefix.below(&entry.target);
    let explanation = policy.explain(&entry.source, below, entry.target.tag.as_str());
    let name = options.policy_file.display().to_string();
    Ok(explain::explained(&name, policy.digest().as_ref(), entry, below, &explanation))
}

/// The explanation in the form that was asked for.
pub(super) fn rendered(explained: &Explained, format: PlainFormat, look: Look) -> String {
    match format {
        PlainFormat::Text => explain::text(explained, look),
        PlainFormat::Json => explain::json(explained),
    }
}
