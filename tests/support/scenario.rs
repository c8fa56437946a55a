//! A story: images at a source, a list, a target, and what a run makes of them.

use std::sync::Arc;
use std::time::Duration;

use image_syncer::command::sync::Job;
use image_syncer::config::{self, Config, ListFile, PrefixSources, Signatures};
use image_syncer::event::Events;
use image_syncer::plan::{Decision, Outcome};
use image_syncer::registry::{Credential, Credentials, Patience, RetryPolicy, Settings};
use image_syncer::report::{Mode, OnTagConflict, Report};

use super::registry::TestRegistry;

/// Two registries and a list.
pub(crate) struct Scenario {
    /// Where images come from.
    pub(crate) source: TestRegistry,
    /// Where they go.
    pub(crate) target: TestRegistry,
    /// The list, in YAML; `SOURCE` and `TARGET` stand for the addresses.
    list: String,
    signatures: Signatures,
    /// How registries are reached.
    pub(crate) settings: Settings,
    credentials: Arc<Credentials>,
    target_credential: Option<Credential>,
}

impl Scenario {
    /// Two registries with everything the specification knows.
    pub(crate) fn new() -> Self {
        Self::between(TestRegistry::start(), TestRegistry::start())
    }

    /// These two registries. Retries and patience are those of a hurried user.
    pub(crate) fn between(source: TestRegistry, target: TestRegistry) -> Self {
        let settings = Settings {
            retry: RetryPolicy {
                retries: 2,
                first_delay: Duration::from_millis(5),
                longest_delay: Duration::from_millis(20),
                longest_asked: Duration::from_secs(1),
            },
            patience: Patience {
                connect: Duration::from_secs(2),
                idle: Duration::from_millis(400),
                commit: Duration::from_secs(2),
            },
            ..Settings::default()
        };
        Self {
            source,
            target,
            list: String::new(),
            signatures: Signatures::Copy,
            settings,
            credentials: Arc::default(),
            target_credential: None,
        }
    }

    /// Lists an image of the source, `team/app:1`.
    pub(crate) fn lists(self, image: &str) -> Self {
        self.entry(&format!("source: SOURCE/{image}"))
    }

    /// Lists an entry; further lines of it are indented by four blanks.
    pub(crate) fn entry(mut self, text: &str) -> Self {
        self.list.extend(["  - ", text, "\n"]);
        self
    }

    /// What is done about companions.
    pub(crate) fn signatures(mut self, signatures: Signatures) -> Self {
        self.signatures = signatures;
        self
    }

    /// Who we are.
    pub(crate) fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Arc::new(credentials);
        self
    }

    /// Who we are at the target.
    pub(crate) fn target_credential(mut self, credential: Credential) -> Self {
        self.target_credential = Some(credential);
        self
    }

    /// The target's repository for a repository of the source.
    pub(crate) fn at_target(&self, repository: &str) -> String {
        format!("mirror/{}/{repository}", self.source.host().replace(':', "_"))
    }

    fn config(&self) -> Config {
        let text = format!("images:\n{}", self.list.replace("SOURCE", &self.source.host()));
        let text = text.replace("TARGET", &self.target.host());
        let list = ListFile { name: "external-images.yaml".into(), text };
        let prefix = format!("{}/mirror/", self.target.host());
        let prefix = PrefixSources { policy: None, command_line: Some(&prefix) };
        config::load(&[list], prefix, self.signatures).expect("a good list")
    }

    fn job(&self, mode: Mode) -> Job {
        Job {
            config: self.config(),
            mode,
            on_tag_conflict: OnTagConflict::Fail,
            settings: self.settings.clone(),
            credentials: Arc::clone(&self.credentials),
            target_credential: self.target_credential.clone(),
        }
    }

    /// Does it.
    pub(crate) fn sync(&self) -> Told {
        self.run(Mode::Sync)
    }

    /// Only says it.
    pub(crate) fn plan(&self) -> Told {
        self.run(Mode::Plan)
    }

    fn run(&self, mode: Mode) -> Told {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let job = self.job(mode);
        let report = runtime.block_on(job.run(&Events::ignored(), std::future::pending()));
        Told(report.expect("a report"))
    }
}

/// What a run told.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Report);

impl Told {
    /// The outcomes in the list's order; in a plan, the decisions.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        match &self.0.results {
            Some(results) => results.iter().map(|result| result.outcome.word()).collect(),
            None => self.0.plan.items.iter().map(|item| item.decision.word()).collect(),
        }
    }

    /// The report in JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.0.json()).expect("JSON")
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.0.verdict().exit_code()
    }

    /// The text that a person sees.
    pub(crate) fn text(&self) -> String {
        self.0.terminal(image_syncer::report::Look { columns: 200, colour: false })
    }

    /// Why an item of the list is a conflict, blocked or failed; empty if it is not.
    pub(crate) fn cause(&self, item: usize) -> String {
        let outcome = self.0.results.as_ref().map(|results| &results[item].outcome);
        match (outcome, &self.0.plan.items[item].decision) {
            (Some(Outcome::Conflict(cause) | Outcome::Blocked(cause) | Outcome::Failed(cause)), _)
            | (None, Decision::Blocked(cause)) => cause.to_string(),
            _ => String::new(),
        }
    }

    /// Asserts the outcomes.
    #[track_caller]
    pub(crate) fn expect(&self, words: &[&str]) -> &Self {
        assert_eq!(self.words(), words, "{}", self.text());
        self
    }
}
