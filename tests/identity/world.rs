//! The Internet as the program sees it through an HTTP proxy: every host by its real name, each played by a registry
//! of the test's own process or by a stand-in. Every request is kept, with its host and its body.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, header};

use crate::support::port::{Port, Server};
use crate::support::registry::TestRegistry;

/// A request, with the host that it was for.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// `METHOD PATH?QUERY`.
    pub(crate) fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, self.query)
    }

    /// A header's text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The form in the body, in its order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// All that it carried, as text.
    pub(crate) fn text(&self) -> String {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        let headers: Vec<String> = headers.collect();
        format!("{}\n{}\n{}", self.line(), headers.concat(), String::from_utf8_lossy(&self.body))
    }
}

/// A stand-in's answer. That of a redirect has its address in its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

type StandIn = Arc<dyn Fn(&Seen) -> Answer + Send + Sync>;

#[derive(Default)]
struct Hosts {
    stand_ins: Mutex<HashMap<String, StandIn>>,
    registries: Mutex<HashMap<String, Arc<TestRegistry>>>,
    seen: Mutex<Vec<Seen>>,
    client: reqwest::Client,
}

/// A running world, and the folder that the program is started in.
pub(crate) struct World {
    address: SocketAddr,
    hosts: Arc<Hosts>,
    pub(crate) home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    _server: Server,
}

/// What the program wrote.
pub(crate) struct Told {
    pub(crate) code: i32,
    /// Standard output and standard error.
    pub(crate) text: String,
    pub(crate) report: String,
    pub(crate) summary: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let port = Port::free();
        let address = port.address;
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let hosts = Arc::new(Hosts { client: client.build().expect("a client"), ..Hosts::default() });
        let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&hosts));
        let server =
            port.served(|listener| async { axum::serve(listener, router).await.expect("the server runs") });
        let variables = BTreeMap::from([("HTTP_PROXY".to_owned(), format!("http://{address}"))]);
        let home = tempfile::tempdir().expect("a folder");
        Self { address, hosts, home, variables, _server: server }
    }

    /// A host that answers like this.
    pub(crate) fn host(self, name: &str, stand_in: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let mut hosts = self.hosts.stand_ins.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(name.to_owned(), Arc::new(stand_in));
        drop(hosts);
        self
    }

    /// A host that always answers this document.
    pub(crate) fn says(self, name: &str, body: &impl ToString) -> Self {
        let body = body.to_string();
        self.host(name, move |_| Answer { status: 200, body: body.clone() })
    }

    /// A host that leads elsewhere, with the same method and body.
    pub(crate) fn redirects(self, name: &str, to: &str) -> Self {
        let to = to.to_owned();
        self.host(name, move |_| Answer { status: 307, body: to.clone() })
    }

    /// A registry under this name.
    pub(crate) fn registry(self, name: &str, registry: impl Into<Arc<TestRegistry>>) -> Self {
        let mut registries = self.hosts.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.insert(name.to_owned(), registry.into());
        drop(registries);
        self
    }

    /// A variable of the program.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// GitHub's identity service: a token for each audience, `oidc-for-AUDIENCE`, which is asked for with
    /// `oidc-request-token`. It is at an address of this machine: a real one is encrypted.
    pub(crate) fn workflow_identity(self) -> Self {
        let url = format!("http://{}/oidc?api-version=2.0", self.address);
        let here = self.address.to_string();
        self.host(&here, |seen| {
            let pairs: HashMap<_, _> =
                url::form_urlencoded::parse(seen.query.as_bytes()).into_owned().collect();
            let value = format!("oidc-for-{}", pairs["audience"]);
            Answer { status: 200, body: serde_json::json!({ "count": 1, "value": value }).to_string() }
        })
        .variable("ACTIONS_ID_TOKEN_REQUEST_URL", &url)
        .variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "oidc-request-token")
    }

    /// This machine, where GitHub's identity service is.
    pub(crate) fn here(&self) -> String {
        self.address.to_string()
    }

    /// A file in the folder that the program is started in.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// All requests to a host, in their order.
    pub(crate) fn seen(&self, host: &str) -> Vec<Seen> {
        self.everything().into_iter().filter(|seen| seen.host == host).collect()
    }

    /// The only request to a host.
    #[track_caller]
    pub(crate) fn only(&self, host: &str) -> Seen {
        let mut seen = self.seen(host);
        assert_eq!(seen.len(), 1, "{host}: {:?}", seen.iter().map(Seen::line).collect::<Vec<_>>());
        seen.remove(0)
    }

    /// All requests of the program.
    pub(crate) fn everything(&self) -> Vec<Seen> {
        self.hosts.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The program with nothing of our surroundings. It speaks to all hosts without TLS, through the proxy.
    pub(crate) fn program(&self) -> Command {
        let home = self.home.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-syncer"));
        let registries = self.hosts.registries.lock().unwrap_or_else(PoisonError::into_inner);
        let stand_ins = self.hosts.stand_ins.lock().unwrap_or_else(PoisonError::into_inner);
        let plain: Vec<&str> = registries.keys().chain(stand_ins.keys()).map(String::as_str).collect();
        command.env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
        command.env("SYNCER_PLAIN_HTTP", plain.join("\n")).stdin(Stdio::null());
        command.env("SYNCER_ENDPOINT", "docker.io=http://registry-1.docker.io");
        command.envs(&self.variables);
        command
    }

    /// Mirrors an image `team/app:1` of each of these registries to `target`.
    pub(crate) fn sync(&self, sources: &[&str], target: &str, auth: &str) -> Told {
        let entries = sources.iter().map(|source| format!("  - source: {source}/team/app:1\n"));
        self.file("external-images.yaml", &format!("images:\n{}", entries.collect::<Vec<_>>().concat()));
        let mut command = self.program();
        if !auth.is_empty() {
            command.env("SYNCER_AUTH", auth);
        }
        self.told(command.args(["-r", &format!("{target}/mirror/")]).args([
            "--debug",
            "--progress",
            "always",
        ]))
    }

    /// Runs the program and keeps all that it wrote.
    pub(crate) fn told(&self, command: &mut Command) -> Told {
        let (report, summary) = (self.home.path().join("report.json"), self.home.path().join("summary.md"));
        let output = command.arg("--report").arg(&report).arg("--summary").arg(&summary).output();
        let output = output.expect("an output");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let text = [output.stdout, output.stderr].concat();
        Told {
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8_lossy(&text).into_owned(),
            report: read(&report),
            summary: read(&summary),
        }
    }
}

impl Told {
    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    /// Asserts what is said of a failure, and that it is said in the report as well.
    #[track_caller]
    pub(crate) fn says(&self, message: &str) -> &Self {
        assert!(self.report.contains(message), "`{message}` is missing: {}\n{}", self.report, self.text);
        self
    }
}

/// The proxy: a request for a host by its name, or one to this machine.
async fn answer(State(hosts): State<Arc<Hosts>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.expect("a body").to_vec();
    let named = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seen = Seen {
        host: named.unwrap_or_else(|| host.to_owned()),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    hosts.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
    let stand_in = hosts.stand_ins.lock().unwrap_or_else(PoisonError::into_inner).get(&seen.host).cloned();
    let is_of_the_registry = seen.path.starts_with("/v2/") || seen.path == "/token";
    let registry =
        hosts.registries.lock().unwrap_or_else(PoisonError::into_inner).get(&seen.host).map(|it| it.address);
    match (registry.filter(|_| is_of_the_registry || stand_in.is_none()), stand_in) {
        (Some(address), _) => forward(&hosts.client, address, seen).await,
        (None, Some(stand_in)) => {
            let Answer { status, body } = stand_in(&seen);
            let mut headers = HeaderMap::new();
            if status == 307 {
                headers.insert(header::LOCATION, body.parse().expect("an address"));
            }
            respond(status, headers, body.into_bytes())
        }
        (None, None) => respond(502, HeaderMap::new(), Vec::new()),
    }
}

async fn forward(client: &reqwest::Client, address: SocketAddr, seen: Seen) -> Response {
    let mark = if seen.query.is_empty() { "" } else { "?" };
    let url = format!("http://{address}{}{mark}{}", seen.path, seen.query);
    let mut headers = seen.headers;
    headers.remove(header::HOST);
    let answer = client.request(seen.method, url).headers(headers).body(seen.body).send().await;
    let answer = answer.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.expect("a body");
    respond(status.as_u16(), headers, body.to_vec())
}

fn respond(status: u16, headers: HeaderMap, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    *response.headers_mut() = headers;
    response
}
