//! What the process stands in: its environment, its terminal, its signals.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::console::Screen;
use crate::registry::Environment;
use crate::report::{Interruption, Look};

/// The width of what is no terminal: files, CI logs.
const PLAIN_WIDTH: usize = 120;

/// The variables by which an HTTP proxy is named.
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// The variables by which the machine's CA certificates are named.
pub(super) const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The part of the environment that commands look at.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The docker configuration file, whether or not it exists; `None` where there is no home.
    pub docker_config: Option<PathBuf>,
    /// Whether standard output is a terminal.
    pub output_terminal: bool,
    /// Whether standard error is a terminal.
    pub error_terminal: bool,
    /// The terminal's width, if there is one.
    pub columns: Option<usize>,
    /// Whether colours are unwelcome (`NO_COLOR`, or `TERM=dumb`).
    pub plain: bool,
    /// The variables that GitHub's runner sets, and those that name a proxy or certificates.
    pub variables: HashMap<String, String>,
    /// All variables: secrets are among them.
    pub environment: Environment,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
        let home = variable("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let texts = || {
            let all = std::env::vars_os();
            all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        };
        let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            docker_config: folder.or(home).map(|folder| folder.join("config.json")),
            output_terminal: std::io::stdout().is_terminal(),
            error_terminal: std::io::stderr().is_terminal(),
            columns,
            plain: variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb"),
            environment: texts().collect(),
            variables: texts()
                .filter(|(name, _)| {
                    name.starts_with("GITHUB_")
                        || name.starts_with("RUNNER_")
                        || PROXIES.contains(&name.as_str())
                        || CERTIFICATES.contains(&name.as_str())
                })
                .collect(),
        }
    }

    /// Whether requests go through an HTTP proxy.
    #[must_use]
    pub fn has_proxy(&self) -> bool {
        PROXIES.iter().any(|name| self.variables.get(*name).is_some_and(|proxy| !proxy.is_empty()))
    }

    /// How standard output shows text.
    #[must_use]
    pub fn output_look(&self) -> Look {
        self.look(self.output_terminal)
    }

    /// How standard error shows text.
    #[must_use]
    pub fn error_look(&self) -> Look {
        self.look(self.error_terminal)
    }

    fn look(&self, terminal: bool) -> Look {
        let columns = self.columns.filter(|_| terminal).unwrap_or(PLAIN_WIDTH);
        Look { columns, colour: terminal && !self.plain }
    }

    /// Standard error as a place for progress. `logs` says whether logs go there, too.
    #[must_use]
    pub fn screen(&self, logs: bool) -> Screen {
        Screen { terminal: self.error_terminal, shared: logs, look: self.error_look(), tame: None }
    }

    /// Starts the log on standard error: warnings, and with `debug` every request.
    pub fn start_log(&self, debug: bool) {
        self.start_log_to(debug, std::io::stderr);
    }

    /// Starts the log somewhere else.
    pub(super) fn start_log_to<W>(&self, debug: bool, writer: W)
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let filter = if debug { "image_syncer=debug" } else { "image_syncer=warn" };
        // In a process that logs already, the log stays as it is.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_ansi(self.error_terminal && !self.plain)
            .with_writer(writer)
            .try_init();
    }
}

/// Why the run has to end, for all who wait for it.
pub(super) type Stop = Shared<BoxFuture<'static, Interruption>>;

/// As [`stop`], for many.
pub(super) fn stop_for_all(limit: Duration) -> Stop {
    stop(Some(limit)).boxed().shared()
}

/// Completes when the process is asked to end, or when its time is over.
pub(super) async fn stop(limit: Option<Duration>) -> Interruption {
    let time_is_over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = asked(SignalKind::interrupt()) => Interruption::Interrupt,
        () = asked(SignalKind::terminate()) => Interruption::Terminate,
        () = time_is_over => Interruption::TimeLimit,
    }
}

async fn asked(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Without a handler the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}
