//! A registry in the test's own process, reached over real HTTP on a free loopback port. It logs what it
//! is asked, goes wrong on order, and shows what it holds. It runs on its own thread, so that tests with
//! and without a runtime can use it, and ends with its handle.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::TryStreamExt as _;
use http::request::Parts;
use http::{HeaderMap, Method};
use image_syncer::oci::{Descriptor, Digest, MediaType, RawManifest};
use image_syncer::serve::{self, Backend, Behaviour, Memory};

use super::auth::{Auth, Guard, TokenRequest, Tokens};
use super::content::{reference, repository};
use super::fault::{self, Fault};
use super::port::{Port, Server};

/// A request, as the registry saw it.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// The method.
    pub(crate) method: Method,
    /// The path, without the query.
    pub(crate) path: String,
    /// The query; empty if there is none.
    pub(crate) query: String,
    /// The request's headers.
    pub(crate) headers: HeaderMap,
    /// The answer's status; 0 where there was no answer.
    pub(crate) status: u16,
}

impl Logged {
    /// Whether this asks the registry to change something.
    pub(crate) fn is_write(&self) -> bool {
        self.path.starts_with("/v2/")
            && matches!(self.method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
    }

    /// A header as text; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// `METHOD PATH STATUS`, for messages.
    pub(crate) fn line(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.status)
    }
}

type Hook = Arc<dyn Fn(&Parts) -> Option<Fault> + Send + Sync>;

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    hook: Mutex<Option<Hook>>,
    guard: Option<Guard>,
}

#[derive(Default)]
struct Log {
    requests: Vec<Logged>,
    in_flight: usize,
    most_in_flight: usize,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a registry is to be like.
#[derive(Default)]
pub(crate) struct Builder {
    behaviour: Behaviour,
    auth: Option<Auth>,
    tokens: Tokens,
    backend: Option<Arc<dyn Backend>>,
    memory: Memory,
}

impl Builder {
    /// Optional parts of the specification: no referrers API, no mounts, small pages.
    pub(crate) fn behaviour(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// No referrers API and no OCI-Subject, as distribution 2.8.
    pub(crate) fn without_referrers_api(mut self) -> Self {
        self.behaviour.referrers_api = false;
        self
    }

    /// A mount always starts an upload.
    pub(crate) fn without_mount(mut self) -> Self {
        self.behaviour.mount = false;
        self
    }

    /// Who may do what.
    pub(crate) fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// What the tokens of its token service are like.
    pub(crate) fn tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// Another store than the one in memory. The readers of [`TestRegistry`] do not see into it.
    pub(crate) fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Content that is there already, or shared with another registry.
    pub(crate) fn memory(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> TestRegistry {
        let port = Port::free();
        let address = port.address;
        let url = format!("http://{address}");
        let guard = self.auth.map(|auth| Guard::new(auth, self.tokens, &url));
        let shared = Arc::new(Shared { guard, ..Shared::default() });
        let backend = self.backend.unwrap_or_else(|| Arc::new(self.memory.clone()));
        let router = wrapped(serve::router_with(backend, self.behaviour), Arc::clone(&shared));
        let server = port.served(|listener| async {
            serve::serve(listener, router, std::future::pending()).await.expect("the server runs");
        });
        TestRegistry { address, memory: self.memory, shared, _server: server }
    }
}

/// Log around faults around auth around the registry.
fn wrapped(router: Router, shared: Arc<Shared>) -> Router {
    router
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), check_auth))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), apply_fault))
        .layer(middleware::from_fn_with_state(shared, log))
}

/// Counts a request out even if its task ends early.
struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.log().in_flight -= 1;
    }
}

async fn log(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let place = {
        let mut log = shared.log();
        log.requests.push(Logged {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
            status: 0,
        });
        log.in_flight += 1;
        log.most_in_flight = log.most_in_flight.max(log.in_flight);
        log.requests.len() - 1
    };
    let in_flight = InFlight(Arc::clone(&shared));
    let response = next.run(request).await;
    drop(in_flight);
    // The log may have been cleared meanwhile.
    if let Some(logged) = shared.log().requests.get_mut(place) {
        logged.status = response.status().as_u16();
    }
    response
}

async fn apply_fault(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let hook = shared.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(hook) = hook else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let fault = hook(&parts);
    fault::apply(fault, Request::from_parts(parts, body), next).await
}

async fn check_auth(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(guard) = &shared.guard else { return next.run(request).await };
    if request.uri().path() == "/token" {
        return guard.token(request).await;
    }
    let (parts, body) = request.into_parts();
    match guard.check(&parts) {
        Some(refused) => {
            fault::drain(body).await;
            refused
        }
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

/// A running registry.
pub(crate) struct TestRegistry {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it holds; content put here is served at once.
    pub(crate) memory: Memory,
    shared: Arc<Shared>,
    _server: Server,
}

impl TestRegistry {
    /// An empty registry with everything the specification knows, for everybody.
    pub(crate) fn start() -> Self {
        Builder::default().start()
    }

    /// A registry to be described.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// `127.0.0.1:PORT`, as a reference has it.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has `hook` say of each request from now on what is to go wrong.
    pub(crate) fn on_request(&self, hook: impl Fn(&Parts) -> Option<Fault> + Send + Sync + 'static) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Logged> {
        self.shared.log().requests.clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn clear_log(&self) {
        let mut log = self.shared.log();
        log.requests.clear();
        log.most_in_flight = log.in_flight;
    }

    /// How many requests had this method and a path with this in it.
    pub(crate) fn count(&self, method: &Method, part: &str) -> usize {
        let log = self.shared.log();
        log.requests.iter().filter(|logged| logged.method == *method && logged.path.contains(part)).count()
    }

    /// The requests that ask to change something.
    pub(crate) fn writes(&self) -> Vec<Logged> {
        let mut requests = self.requests();
        requests.retain(Logged::is_write);
        requests
    }

    /// The requests to the registry itself: neither token requests nor those that only met a challenge.
    pub(crate) fn served(&self) -> Vec<Logged> {
        let mut requests = self.requests();
        requests.retain(|logged| logged.path.starts_with("/v2/") && logged.status != 401);
        requests
    }

    /// The most requests that were under way at a time; bodies of answers on their way do not count.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.shared.log().most_in_flight
    }

    /// The requests to the token service so far.
    pub(crate) fn token_requests(&self) -> Vec<TokenRequest> {
        self.shared.guard.as_ref().map(Guard::token_requests).unwrap_or_default()
    }

    /// The repositories and their tags, with the digests.
    pub(crate) fn tags(&self) -> BTreeMap<String, Digest> {
        let mut all = BTreeMap::new();
        for repository in now(self.memory.repositories()).expect("repositories") {
            let tags = now(self.memory.tags(&repository)).expect("tags").unwrap_or_default();
            for tag in tags {
                let name = format!("{repository}:{tag}");
                let manifest = self.manifest(repository.as_str(), tag.as_str()).expect("a manifest");
                all.insert(name, manifest.digest);
            }
        }
        all
    }

    /// A manifest by tag or digest.
    pub(crate) fn manifest(&self, name: &str, tag_or_digest: &str) -> Option<RawManifest> {
        use image_syncer::store::Source as _;
        now(self.memory.manifest(&repository(name), &reference(tag_or_digest))).expect("a manifest")
    }

    /// The digest that a tag has.
    pub(crate) fn tag(&self, name: &str, tag: &str) -> Option<Digest> {
        self.manifest(name, tag).map(|manifest| manifest.digest)
    }

    /// A blob's bytes.
    pub(crate) fn blob(&self, name: &str, digest: &Digest) -> Option<Vec<u8>> {
        use image_syncer::store::Source as _;
        let any = Descriptor::new(MediaType::OCI_LAYER, digest.clone(), 0);
        let pieces = now(self.memory.blob(&repository(name), &any)).ok()?;
        let pieces: Vec<_> = now(pieces.try_collect()).expect("a blob");
        Some(pieces.concat())
    }

    /// The referrers of a digest.
    pub(crate) fn referrers(&self, name: &str, subject: &Digest) -> Vec<Descriptor> {
        use image_syncer::store::Source as _;
        now(self.memory.referrers(&repository(name), subject, None)).expect("referrers")
    }
}

/// The store in memory never waits.
fn now<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}
