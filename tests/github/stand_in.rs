//! GitHub's API in the test's own process, reached over real HTTP on a free loopback port. It keeps what it is told
//! (commits, comments, check runs), refuses what GitHub refuses, logs what it is asked and goes wrong on order.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::support::port::{Port, Server};

/// The repository that it has.
pub(crate) const REPOSITORY: &str = "octo-org/mirror";

/// The token that it takes.
pub(crate) const TOKEN: &str = "ghs_stand-in-0123456789";

/// The longest texts that it takes.
const LONGEST_COMMENT: usize = 65_536;
const LONGEST_FIELD: usize = 65_535;

/// A request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Below the base path, with the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The body as JSON; null if there is none.
    pub(crate) body: Value,
}

/// Something in a commit.
#[derive(Clone, Copy)]
pub(crate) enum Entry<'a> {
    File(&'a [u8]),
    Executable(&'a [u8]),
    Link(&'a str),
    Submodule,
    /// A file of which the tree says another size.
    Lie(&'a [u8], u64),
}

/// A comment that it keeps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) id: u64,
    /// The number of its pull request.
    pub(crate) number: u64,
    /// Login and type; `None` for an account that is gone.
    pub(crate) author: Option<(String, String)>,
    pub(crate) body: String,
}

type Hook = Arc<dyn Fn(&Seen) -> Option<Response> + Send + Sync>;

struct Keeps {
    base: String,
    viewer: String,
    objects: BTreeMap<String, Value>,
    blobs: BTreeMap<String, Vec<u8>>,
    head: String,
    /// Where commits departed from the base branch, if not from its head.
    departed: BTreeMap<String, String>,
    /// The pull requests with which commits came, as GitHub shows them.
    merged: BTreeMap<String, Vec<Value>>,
    /// The commits that changed the list, the newest first.
    history: Vec<String>,
    comments: Vec<Kept>,
    check_runs: Vec<Value>,
    log: Vec<Seen>,
    hook: Option<Hook>,
    next_id: u64,
}

/// The stand-in. It ends with its handle.
pub(crate) struct GitHub {
    origin: String,
    keeps: Arc<Mutex<Keeps>>,
    _server: Server,
}

impl GitHub {
    /// As github.com, whose API has no base path.
    pub(crate) fn start() -> Self {
        Self::below("")
    }

    /// As a GitHub Enterprise Server.
    pub(crate) fn enterprise() -> Self {
        Self::below("/api/v3")
    }

    fn below(base: &str) -> Self {
        let port = Port::free();
        let origin = format!("http://{}", port.address);
        let keeps = Arc::new(Mutex::new(Keeps {
            base: base.to_owned(),
            viewer: "github-actions[bot]".to_owned(),
            objects: BTreeMap::new(),
            blobs: BTreeMap::new(),
            head: "1".repeat(40),
            departed: BTreeMap::new(),
            merged: BTreeMap::new(),
            history: Vec::new(),
            comments: Vec::new(),
            check_runs: Vec::new(),
            log: Vec::new(),
            hook: None,
            next_id: 1000,
        }));
        let router = Router::new().fallback(answer).with_state((Arc::clone(&keeps), origin.clone()));
        let server =
            port.served(|listener| async { axum::serve(listener, router).await.expect("the server runs") });
        Self { origin, keeps, _server: server }
    }

    fn keeps(&self) -> MutexGuard<'_, Keeps> {
        self.keeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn api_url(&self) -> Url {
        Url::parse(&format!("{}{}", self.origin, self.keeps().base)).expect("a URL")
    }

    pub(crate) fn graphql_url(&self) -> Url {
        let path = if self.keeps().base.is_empty() { "/graphql" } else { "/api/graphql" };
        Url::parse(&format!("{}{path}", self.origin)).expect("a URL")
    }

    /// Keeps a commit with these files, and says its ID.
    pub(crate) fn commit(&self, files: &[(&str, Entry<'_>)]) -> String {
        let mut keeps = self.keeps();
        let tree = keeps.tree(files);
        keeps.object("commit", json!({ "tree": { "sha": tree } }))
    }

    /// Changes something that it keeps below an ID or a name of it.
    pub(crate) fn change_trees(&self, change: impl Fn(&mut Value)) {
        self.keeps().objects.values_mut().filter(|object| object["tree"].is_array()).for_each(change);
    }

    /// Has a commit depart from the base branch at `start`, whatever came to the branch since.
    pub(crate) fn departs(&self, commit: &str, start: &str) {
        self.keeps().departed.insert(commit.to_owned(), start.to_owned());
    }

    pub(crate) fn move_head(&self, commit: &str) {
        commit.clone_into(&mut self.keeps().head);
    }

    /// Has a commit come with a pull request that was merged, as the newest of the list's.
    pub(crate) fn merge(&self, commit: &str, number: u64, head: &str, base: &str) {
        let mut keeps = self.keeps();
        let merged = json!({
            "number": number,
            "state": "closed",
            "merged_at": "2026-01-02T03:04:05Z",
            "html_url": format!("https://github.example.com/{REPOSITORY}/pull/{number}"),
            "head": { "ref": "patch-1", "sha": head },
            "base": { "ref": base, "sha": "0".repeat(40) },
        });
        keeps.merged.entry(commit.to_owned()).or_default().push(merged);
        keeps.history.insert(0, commit.to_owned());
    }

    /// Whose the token is from now on, as `viewer` says it.
    pub(crate) fn token_of(&self, login: &str) {
        login.clone_into(&mut self.keeps().viewer);
    }

    /// Keeps a comment that somebody wrote, and says its ID.
    pub(crate) fn comment_by(&self, login: &str, kind: &str, body: &str) -> u64 {
        self.keeps().comment(7, Some((login.to_owned(), kind.to_owned())), body)
    }

    /// Keeps a comment whose author is gone.
    pub(crate) fn comment_by_nobody(&self, body: &str) {
        self.keeps().comment(7, None, body);
    }

    pub(crate) fn comments(&self) -> Vec<Kept> {
        self.keeps().comments.clone()
    }

    pub(crate) fn check_runs(&self) -> Vec<Value> {
        self.keeps().check_runs.clone()
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.keeps().log.clone()
    }

    /// `METHOD PATH` of the requests so far, which are forgotten.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        let log = std::mem::take(&mut self.keeps().log);
        log.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    /// Has `hook` answer in its place from now on, where it has an answer.
    pub(crate) fn on_request(&self, hook: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static) {
        self.keeps().hook = Some(Arc::new(hook));
    }
}

impl Keeps {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn comment(&mut self, number: u64, author: Option<(String, String)>, body: &str) -> u64 {
        let id = self.id();
        self.comments.push(Kept { id, number, author, body: body.to_owned() });
        id
    }

    fn object(&mut self, kind: &str, object: Value) -> String {
        let id = object_id(kind, object.to_string().as_bytes());
        self.objects.insert(id.clone(), object);
        id
    }

    fn tree(&mut self, files: &[(&str, Entry<'_>)]) -> String {
        let mut entries: BTreeMap<String, Value> = BTreeMap::new();
        let mut folders: BTreeMap<&str, Vec<(&str, Entry<'_>)>> = BTreeMap::new();
        for (path, entry) in files {
            let entry = *entry;
            if let Some((folder, rest)) = path.split_once('/') {
                folders.entry(folder).or_default().push((rest, entry));
                continue;
            }
            let (mode, kind, content, size) = match entry {
                Entry::File(content) => ("100644", "blob", content, Some(content.len() as u64)),
                Entry::Executable(content) => ("100755", "blob", content, Some(content.len() as u64)),
                Entry::Link(target) => ("120000", "blob", target.as_bytes(), Some(target.len() as u64)),
                Entry::Submodule => ("160000", "commit", &b"elsewhere"[..], None),
                Entry::Lie(content, size) => ("100644", "blob", content, Some(size)),
            };
            let id = object_id(kind, content);
            self.blobs.insert(id.clone(), content.to_vec());
            let mut value = json!({ "path": path, "mode": mode, "type": kind, "sha": id });
            if let Some(size) = size {
                value["size"] = json!(size);
            }
            entries.insert((*path).to_owned(), value);
        }
        for (folder, files) in folders {
            let id = self.tree(&files);
            entries.insert(
                folder.to_owned(),
                json!({ "path": folder, "mode": "040000", "type": "tree", "sha": id }),
            );
        }
        let entries: Vec<Value> = entries.into_values().collect();
        self.object("tree", json!({ "tree": entries, "truncated": false }))
    }
}

/// As long as Git's, and no less its own.
fn object_id(kind: &str, content: &[u8]) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(content).finalize();
    digest.iter().take(20).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An answer in JSON.
pub(crate) fn told(status: u16, value: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json; charset=utf-8")
        .body(Body::from(value.to_string()))
        .expect("an answer")
}

fn refused(status: StatusCode, message: &str) -> Response {
    let value = json!({ "message": message, "documentation_url": "https://docs.github.com/rest" });
    told(status.as_u16(), &value)
}

async fn answer(State((keeps, origin)): State<(Arc<Mutex<Keeps>>, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 10 * 1024 * 1024).await.expect("a body");
    let path = parts.uri.path_and_query().expect("a path").as_str().to_owned();
    let mut keeps = keeps.lock().unwrap_or_else(PoisonError::into_inner);
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    let below = path.strip_prefix(&keeps.base).unwrap_or(&path).to_owned();
    let seen = Seen { method: parts.method, path: below, headers: parts.headers, body };
    keeps.log.push(seen.clone());
    if let Some(answer) = keeps.hook.clone().and_then(|hook| hook(&seen)) {
        return answer;
    }
    let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().expect("text"));
    if header("user-agent").is_none() {
        return refused(StatusCode::FORBIDDEN, "Request forbidden by administrative rules.");
    }
    if header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return refused(StatusCode::UNAUTHORIZED, "Bad credentials");
    }
    if seen.method == Method::POST && (path == "/graphql" || path == "/api/graphql") {
        return told(200, &json!({ "data": { "viewer": { "login": keeps.viewer } } }));
    }
    let repository = format!("/repos/{REPOSITORY}/");
    let (route, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    // GitHub's own links have the repository's number.
    let route = route.strip_prefix(&repository).or_else(|| route.strip_prefix("/repositories/5/"));
    let Some(route) = route.filter(|_| path.starts_with(&keeps.base)) else {
        return refused(StatusCode::NOT_FOUND, "Not Found");
    };
    let route: Vec<&str> = route.split('/').collect();
    keeps
        .route(&seen, &route, query, &origin)
        .unwrap_or_else(|Refusal(status, message)| refused(status, message))
}

/// A status and what is said with it.
struct Refusal(StatusCode, &'static str);

const MISSING: Refusal = Refusal(StatusCode::NOT_FOUND, "Not Found");

fn unless(good: bool, what: &'static str) -> Result<(), Refusal> {
    if good { Ok(()) } else { Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, what)) }
}

impl Keeps {
    fn route(&mut self, seen: &Seen, route: &[&str], query: &str, origin: &str) -> Result<Response, Refusal> {
        match (seen.method.as_str(), route) {
            ("GET", ["git", "commits" | "trees", id]) => {
                self.objects.get(*id).map(|object| told(200, object)).ok_or(MISSING)
            }
            ("GET", ["git", "blobs", id]) => {
                let blob = self.blobs.get(*id).ok_or(MISSING)?;
                if seen.headers["accept"] == "application/vnd.github.raw+json" {
                    return Ok(Response::new(Body::from(blob.clone())));
                }
                Ok(told(200, &json!({ "encoding": "base64", "content": "" })))
            }
            ("GET", ["compare", ends]) => {
                let (base, head) = ends.split_once("...").ok_or(MISSING)?;
                let known = |id: &str| self.objects.get(id).map(|_| ()).ok_or(MISSING);
                known(base).and(known(head))?;
                let start = self.departed.get(head).map_or(base, String::as_str);
                let files = if query.contains("page=2") { json!([]) } else { json!([{ "filename": "x" }]) };
                Ok(told(200, &json!({ "merge_base_commit": { "sha": start }, "files": files })))
            }
            ("GET", ["pulls", number]) => {
                let number: u64 = number.parse().map_err(|_| MISSING)?;
                let head = json!({ "sha": self.head, "ref": "x" });
                Ok(told(200, &json!({ "number": number, "head": head, "state": "open" })))
            }
            ("GET", ["commits", id, "pulls"]) => {
                Ok(told(200, &json!(self.merged.get(*id).cloned().unwrap_or_default())))
            }
            ("GET", ["commits"]) => {
                unless(query.contains("sha=") && query.contains("path="), "the test wants a file's commits")?;
                let commits: Vec<Value> = self.history.iter().map(|id| json!({ "sha": id })).collect();
                Ok(told(200, &json!(commits)))
            }
            ("GET", ["issues", number, "comments"]) => {
                Ok(self.page(number.parse().map_err(|_| MISSING)?, query, origin))
            }
            ("POST", ["issues", number, "comments"]) => {
                let body = valid_comment(&seen.body)?;
                let author = Some((self.viewer.clone(), "Bot".into()));
                let id = self.comment(number.parse().map_err(|_| MISSING)?, author, &body);
                Ok(self.told_comment(201, id, origin))
            }
            ("PATCH", ["issues", "comments", id]) => {
                let body = valid_comment(&seen.body)?;
                let id: u64 = id.parse().expect("a number");
                let kept = self.comments.iter_mut().find(|kept| kept.id == id).ok_or(MISSING)?;
                kept.body = body;
                Ok(self.told_comment(200, id, origin))
            }
            ("POST", ["check-runs"]) => {
                valid_check_run(&seen.body)?;
                valid_output(&seen.body["output"])?;
                let id = self.id();
                let mut run = seen.body.clone();
                run["id"] = json!(id);
                run["html_url"] = json!(format!("{origin}/{REPOSITORY}/runs/{id}"));
                self.check_runs.push(run.clone());
                Ok(told(201, &run))
            }
            ("PATCH", ["check-runs", id]) => {
                valid_output(&seen.body["output"])?;
                let id: u64 = id.parse().expect("a number");
                let run = self.check_runs.iter_mut().find(|run| run["id"].as_u64() == Some(id));
                let run = run.ok_or(MISSING)?;
                let more = seen.body["output"]["annotations"].as_array().expect("a list").clone();
                run["output"]["annotations"].as_array_mut().expect("a list").extend(more);
                Ok(told(200, run))
            }
            _ => Err(MISSING),
        }
    }

    fn told_comment(&self, status: u16, id: u64, origin: &str) -> Response {
        let kept = self.comments.iter().find(|kept| kept.id == id).expect("a comment");
        told(status, &kept.shown(origin))
    }

    fn page(&self, issue: u64, query: &str, origin: &str) -> Response {
        let number = |name: &str, usual: usize| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map_or(usual, |value| value.parse().expect("a number"))
        };
        let (size, page) = (number("per_page", 30).min(100), number("page", 1));
        let all: Vec<&Kept> = self.comments.iter().filter(|kept| kept.number == issue).collect();
        let shown = all.iter().skip((page - 1) * size).take(size);
        let shown: Vec<Value> = shown.map(|kept| kept.shown(origin)).collect();
        let mut answer = told(200, &json!(shown));
        if all.len() > page * size {
            let list =
                format!("{origin}{}/repositories/5/issues/{issue}/comments?per_page={size}", self.base);
            let link = format!(
                "<{list}&page={}>; rel=\"next\", <{list}&page={}>; rel=\"last\"",
                page + 1,
                all.len().div_ceil(size)
            );
            answer.headers_mut().insert("link", link.parse().expect("a header"));
        }
        answer
    }
}

impl Kept {
    fn shown(&self, origin: &str) -> Value {
        json!({
            "id": self.id,
            "html_url": format!("{origin}/{REPOSITORY}/pull/{}#issuecomment-{}", self.number, self.id),
            "user": self.author.as_ref().map(|(login, kind)| json!({ "login": login, "type": kind })),
            "body": self.body,
        })
    }
}

fn valid_comment(body: &Value) -> Result<String, Refusal> {
    let body = body["body"].as_str().unwrap_or_default();
    unless(!body.is_empty(), "Body can't be blank")?;
    unless(body.chars().count() <= LONGEST_COMMENT, "Body is too long (maximum is 65536 characters)")?;
    // GitHub keeps lines as browsers send them.
    Ok(body.replace('\n', "\r\n"))
}

fn is_text(value: &Value, most: usize) -> bool {
    value.as_str().is_some_and(|text| text.chars().count() <= most)
}

/// What GitHub's description of the API, and its prose, ask of a check run.
fn valid_check_run(body: &Value) -> Result<(), Refusal> {
    let conclusions =
        ["action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"];
    unless(is_text(&body["name"], 255), "name")?;
    unless(body["head_sha"].as_str().is_some_and(|id| id.len() == 40), "head_sha")?;
    unless(body["status"] == "completed", "status")?;
    unless(conclusions.iter().any(|known| body["conclusion"] == *known), "conclusion")
}

fn valid_output(output: &Value) -> Result<(), Refusal> {
    unless(is_text(&output["title"], 255), "title")?;
    unless(is_text(&output["summary"], LONGEST_FIELD), "summary")?;
    unless(output["text"].is_null() || is_text(&output["text"], LONGEST_FIELD), "text")?;
    let annotations = output["annotations"].as_array().expect("a list");
    unless(annotations.len() <= 50, "annotations")?;
    for annotation in annotations {
        let (start, end) = (annotation["start_line"].as_u64(), annotation["end_line"].as_u64());
        let levels = ["notice", "warning", "failure"];
        unless(is_text(&annotation["path"], 4096), "path")?;
        unless(start.is_some() && start <= end, "lines")?;
        unless(annotation["start_column"].is_null() || start == end, "columns")?;
        unless(levels.iter().any(|known| annotation["annotation_level"] == *known), "annotation_level")?;
        unless(annotation["message"].as_str().is_some_and(|text| text.len() <= 65_536), "message")?;
        unless(annotation["title"].is_null() || is_text(&annotation["title"], 255), "annotation title")?;
    }
    Ok(())
}
