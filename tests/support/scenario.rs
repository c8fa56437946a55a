//! A story: images at a source, a list, a target, and what a run makes of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use image_syncer::command::sync::Job;
use image_syncer::config::{self, Config, ListFile, PrefixSources, Signatures};
use image_syncer::event::Events;
use image_syncer::oci::{Digest, RawManifest};
use image_syncer::plan::{Decision, Outcome};
use image_syncer::policy::{self, Policy};
use image_syncer::registry::{Credential, Credentials, Patience, RetryPolicy, Settings};
use image_syncer::report::{Interruption, Mode, OnTagConflict, Report};
use image_syncer::verify::Root;

use super::registry::{Logged, TestRegistry};
use super::relay::Relay;

/// What is built in; it takes a moment to read.
static TRUST_ROOT: LazyLock<Arc<Root>> = LazyLock::new(|| Arc::new(Root::embedded().expect("a trust root")));

/// Two registries and a list.
pub(crate) struct Scenario {
    /// Where images come from.
    pub(crate) source: TestRegistry,
    /// Where they go.
    pub(crate) target: TestRegistry,
    /// The list, in YAML; `SOURCE` and `TARGET` stand for the addresses.
    list: String,
    /// The policy, in YAML; `SOURCE` and `TARGET` stand for the addresses.
    policy: String,
    signatures: Signatures,
    /// Where images go, if that is not the registry.
    layout: Option<PathBuf>,
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

    /// These two registries. Retries are those of a hurried user.
    pub(crate) fn between(source: TestRegistry, target: TestRegistry) -> Self {
        let settings = Settings {
            retry: RetryPolicy {
                retries: 2,
                first_delay: Duration::from_millis(5),
                longest_delay: Duration::from_millis(20),
                longest_asked: Duration::from_secs(1),
            },
            patience: Patience {
                connect: Duration::from_secs(5),
                idle: Duration::from_secs(5),
                commit: Duration::from_secs(10),
            },
            ..Settings::default()
        };
        Self {
            source,
            target,
            list: String::new(),
            policy: String::new(),
            signatures: Signatures::Copy,
            layout: None,
            settings,
            credentials: Arc::default(),
            target_credential: None,
        }
    }

    /// The source is reached through a line of its own.
    pub(crate) fn source_through(mut self, line: &Relay) -> Self {
        through(&mut self.settings, &self.source, line);
        self
    }

    /// The target is reached through a line of its own.
    pub(crate) fn target_through(mut self, line: &Relay) -> Self {
        through(&mut self.settings, &self.target, line);
        self
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

    /// The operator's policy, in YAML, in the place of any that was there; empty is none.
    pub(crate) fn policy(mut self, text: &str) -> Self {
        text.clone_into(&mut self.policy);
        self
    }

    /// The same registries, and an empty list.
    pub(crate) fn other_list(mut self) -> Self {
        self.list.clear();
        self
    }

    /// With little patience, for what falls silent. Else nothing takes so long, also on a busy machine.
    pub(crate) fn hurried(mut self) -> Self {
        self.settings.patience.idle = Duration::from_millis(600);
        self
    }

    /// What is done about companions.
    pub(crate) fn signatures(mut self, signatures: Signatures) -> Self {
        self.signatures = signatures;
        self
    }

    /// Images go into an image layout folder.
    pub(crate) fn into_layout(mut self, folder: &Path) -> Self {
        self.layout = Some(folder.to_owned());
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
        let below = format!("{}/{repository}", self.source.host().replace(':', "_"));
        if self.layout.is_some() { below } else { format!("mirror/{below}") }
    }

    /// The manifest that the target has for a tag of the source.
    pub(crate) fn mirrored(&self, repository: &str, tag: &str) -> Option<RawManifest> {
        self.target.manifest(&self.at_target(repository), tag)
    }

    /// Asserts that the target has an image of the source whole, under its digest: all manifests and all
    /// blobs, byte for byte.
    #[track_caller]
    pub(crate) fn assert_whole(&self, repository: &str, digest: &Digest) {
        let at = self.at_target(repository);
        let wanted = self.source.manifest(repository, &digest.to_string()).expect("at the source");
        assert_eq!(self.target.manifest(&at, &digest.to_string()).as_ref(), Some(&wanted));
        let parsed = wanted.parse().expect("a manifest");
        for blob in parsed.blobs() {
            let bytes = self.target.blob(&at, &blob.digest);
            assert!(bytes.is_some(), "the blob {} is missing", blob.digest);
            assert_eq!(bytes, self.source.blob(repository, &blob.digest), "{}", blob.digest);
        }
        for child in parsed.children() {
            self.assert_whole(repository, &child.digest);
        }
    }

    /// Runs once more, and asserts that there is nothing to do and that nothing is written.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        self.target.clear_log();
        let told = self.sync();
        assert!(told.words().iter().all(|word| *word == "up-to-date"), "{}", told.text());
        assert_eq!(told.exit_code(), 0);
        let writes: Vec<String> = self.target.writes().iter().map(Logged::line).collect();
        assert!(writes.is_empty(), "{writes:#?}");
    }

    fn read_policy(&self) -> Policy {
        if self.policy.is_empty() {
            return Policy::default();
        }
        let text = self.policy.replace("SOURCE", &self.source.host()).replace("TARGET", &self.target.host());
        policy::load("policy.yaml", &text).expect("a good policy")
    }

    fn config(&self, policy: &Policy) -> Config {
        let text = format!("images:\n{}", self.list.replace("SOURCE", &self.source.host()));
        let text = text.replace("TARGET", &self.target.host());
        let list = ListFile { name: "external-images.yaml".into(), text };
        let prefix = match &self.layout {
            Some(folder) => format!("oci:{}/", folder.display()),
            None => format!("{}/mirror/", self.target.host()),
        };
        let prefix = PrefixSources { policy: policy.prefix(), command_line: Some(&prefix), trusted: None };
        config::load(&[list], prefix, self.signatures).expect("a good list")
    }

    fn job(&self, mode: Mode) -> Job {
        let policy = self.read_policy();
        let config = self.config(&policy);
        Job {
            lists: config.digest(),
            config,
            part: None,
            remarks: Vec::new(),
            planned: None,
            reviewing: None,
            policy,
            mode,
            on_tag_conflict: OnTagConflict::Fail,
            trust_root: Arc::clone(&TRUST_ROOT),
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
        self.run_until(mode, std::future::pending())
    }

    /// Does it, until `stop` says that it must end.
    pub(crate) fn sync_until(&self, stop: impl Future<Output = Interruption> + Send) -> Told {
        self.run_until(Mode::Sync, stop)
    }

    fn run_until(&self, mode: Mode, stop: impl Future<Output = Interruption> + Send) -> Told {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let job = self.job(mode);
        let report = runtime.block_on(job.run(&Events::ignored(), stop));
        Told(report.expect("a report"))
    }
}

fn through(settings: &mut Settings, registry: &TestRegistry, line: &Relay) {
    let url = format!("http://{}", line.host()).parse().expect("a URL");
    settings.endpoints.insert(registry.host().parse().expect("a registry"), url);
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

    /// An item of the report in JSON.
    pub(crate) fn item(&self, place: usize) -> serde_json::Value {
        self.json()["items"][place].clone()
    }

    /// The text that a person sees.
    pub(crate) fn text(&self) -> String {
        self.0.terminal(image_syncer::report::Look { columns: 200, colour: false })
    }

    /// Why an item of the list is a conflict, blocked or failed; empty if it is not.
    pub(crate) fn cause(&self, item: usize) -> String {
        let outcome = self.0.results.as_ref().map(|results| &results[item].outcome);
        match (outcome, &self.0.plan.items[item].decision) {
            (
                Some(
                    Outcome::Conflict(cause)
                    | Outcome::Blocked(cause)
                    | Outcome::Failed(cause)
                    | Outcome::Deferred(cause),
                ),
                _,
            )
            | (None, Decision::Blocked(cause) | Decision::Deferred(cause)) => cause.to_string(),
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
