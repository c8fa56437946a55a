//! `verify`: the target, audited.

use std::sync::Arc;

use super::options::{self, SUMMARY_LIMIT, UsageError};
use super::surroundings::{Surroundings, stop};
use super::sync::Job;
use super::{login, shown_while};
use crate::audit::{self, Asked, Audit, audit};
use crate::cli::{Format, OnTagConflict, ReportOptions, RunOptions, ShardOptions, VerifyOptions};
use crate::config::TargetPrefix;
use crate::layout::Layout;
use crate::registry::Registries;
use crate::report::{Look, Mode};
use crate::store::Listing;

/// GitHub takes no longer text for an issue; a summary of more than this nobody reads.
const MARKDOWN_LIMIT: usize = 60_000;

const _: () = assert!(MARKDOWN_LIMIT < SUMMARY_LIMIT);

/// Audits what the options name.
pub(super) async fn run(options: VerifyOptions, surroundings: &Surroundings) -> Result<Audit, UsageError> {
    let asked = Asked { deep: options.deep, unlisted: options.unlisted };
    let (timeout, progress) = (options.timeout, options.output.progress);
    let is_debugged = options.log.debug;
    let job = options::job(&run_options(options), Mode::Plan, None, surroundings)?;
    login::check(&job)?;
    let registries = Registries::new(job.settings.clone(), Arc::clone(&job.credentials));
    let registries = registries.map_err(|error| UsageError::Option(error.to_string()))?;
    let sources = job.sources(&registries);
    let target = target(&job, &registries);
    let audited = |events| async move {
        let (config, policy) = (&job.config, &job.policy);
        audit(config, policy, &sources, &target, asked, &events, stop(Some(timeout))).await
    };
    Ok(shown_while(progress, surroundings.screen(is_debugged), audited).await)
}

/// The target, which is read and listed, and never held as something that could be written to.
fn target(job: &Job, registries: &Registries) -> Arc<dyn Listing> {
    match &job.config.prefix {
        TargetPrefix::Registry { registry, .. } => {
            Arc::new(registries.target_to_read(registry, job.target_credential.clone()))
        }
        TargetPrefix::Layout { folder } => Arc::new(Layout::new(folder)),
    }
}

/// The same options as a plan's, which does not write either.
fn run_options(options: VerifyOptions) -> RunOptions {
    RunOptions {
        images_files: options.images_files,
        target_repo_prefix: options.target_repo_prefix,
        credentials: options.credentials,
        policy_file: options.policy_file,
        signatures: options.signatures,
        trust_root: None,
        on_tag_conflict: OnTagConflict::default(),
        create_repositories: false,
        concurrency: options.concurrency,
        timeout: options.timeout,
        share: ShardOptions { shard: None, shard_plan: None },
        log: options.log,
        connections: options.connections,
    }
}

/// The findings in the form that was asked for.
pub(super) fn rendered(audit: &Audit, format: Format, look: Look) -> String {
    match format {
        Format::Text => audit::text(audit, look),
        Format::Json => audit::json(audit),
        Format::Markdown => audit::markdown(audit, MARKDOWN_LIMIT),
    }
}

/// Puts the findings into the files that were named for them, and gives what went wrong with that.
pub(super) fn write(audit: &Audit, output: &ReportOptions) -> Vec<String> {
    let mut failed = Vec::new();
    if let Some(path) = &output.report
        && let Err(error) = options::replace(path, &audit::json(audit))
    {
        failed.push(format!("failed to write the report {}: {error}", path.display()));
    }
    if let Some(path) = &output.summary
        && let Err(error) = options::append(path, &audit::markdown(audit, MARKDOWN_LIMIT))
    {
        failed.push(format!("failed to write the summary {}: {error}", path.display()));
    }
    failed
}
