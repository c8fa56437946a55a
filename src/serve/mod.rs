//! A store served as a registry over HTTP (OCI distribution-spec 1.1, end-1 to end-13).
//!
//! [`router`] answers for a [`Backend`]: for [`Memory`], or for anything else that keeps content. It
//! knows no users and no TLS: who can reach it can write, so that it belongs on a loopback address.
//! Bodies stream; only manifests, 4 MiB at most, are held whole.

mod backend;
mod blobs;
mod error;
mod lists;
mod manifests;
mod memory;
mod route;
mod uploads;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::BodyDataStream;
use tokio::net::TcpListener;

pub use backend::{Backend, Upload};
pub use memory::Memory;

use error::ApiError;
use route::Route;
use uploads::Uploads;

/// How long requests that are under way may take to end once the server is to stop.
const GRACE: Duration = Duration::from_secs(2);

/// In what registries differ: what of the specification's optional parts is on.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Whether there is a referrers API (end-12). Without it `/referrers/` answers 404 and a pushed
    /// subject is not acknowledged with `OCI-Subject`, as in registries of OCI 1.0.
    pub referrers_api: bool,
    /// Whether a mount is done. Where it is not, each request for one starts an upload.
    pub mount: bool,
    /// Whether a mount without `from` looks for the blob in all repositories.
    pub automatic_mount: bool,
    /// The most entries of a page of tags, repositories or referrers; the rest is behind a `Link`.
    pub page_limit: usize,
}

impl Default for Behaviour {
    /// Everything on, and pages of at most 1,000 entries.
    fn default() -> Self {
        Self { referrers_api: true, mount: true, automatic_mount: true, page_limit: 1000 }
    }
}

/// A registry over `backend`, with everything that the specification knows.
pub fn router(backend: Arc<dyn Backend>) -> Router {
    router_with(backend, Behaviour::default())
}

/// A registry over `backend` that behaves as told.
pub fn router_with(backend: Arc<dyn Backend>, behaviour: Behaviour) -> Router {
    let served = Arc::new(Served { backend, behaviour, uploads: Uploads::default() });
    Router::new().fallback(answer).with_state(served)
}

/// Serves `router` until `shutdown` completes. Requests that are then under way get two seconds to end.
///
/// # Errors
///
/// Fails if the listener does.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Small requests on a kept connection would otherwise wait for delayed acknowledgements.
    let listener = listener.tap_io(|stream| {
        // A connection without the option is slower, not wrong.
        let _ = stream.set_nodelay(true);
    });
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // The receiver is gone only where the server is, too.
        let _ = stopping.send(());
    });
    let deadline = async move {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result,
        () = deadline => Ok(()),
    }
}

/// The most bytes of a refused body that are read, in how much time.
const WORTH_DRAINING: usize = 1024 * 1024;
const DRAINING: Duration = Duration::from_secs(1);

/// What all requests share.
struct Served {
    backend: Arc<dyn Backend>,
    behaviour: Behaviour,
    uploads: Uploads,
}

async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let result = dispatch(&served, &parts, &mut body).await;
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    // Who waits for a 100 before the body has not sent it, and need not.
    let unsent = parts.headers.contains_key(header::EXPECT) && !body.is_end_stream();
    if unsent || !drained(&mut body).await {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().insert(
        header::HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

/// Reads on to the end of a body that was refused, so that the connection can go on. Says whether the end
/// was reached: there may be more than is worth reading.
async fn drained(body: &mut Body) -> bool {
    let read = async {
        let mut left = WORTH_DRAINING;
        let mut pieces = BodyDataStream::new(body);
        while let Some(piece) = pieces.next().await {
            let size = piece.map_or(usize::MAX, |piece| piece.len());
            if size > left {
                return false;
            }
            left -= size;
        }
        true
    };
    tokio::time::timeout(DRAINING, read).await.unwrap_or(false)
}

async fn dispatch(served: &Served, parts: &Parts, body: &mut Body) -> Result<Response, ApiError> {
    let route = Route::parse(parts.uri.path())?;
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    match route {
        Route::Base if reads => Ok(json(&serde_json::json!({}))),
        Route::Catalog if reads => lists::catalog(served, parts).await,
        Route::Tags(repository) if reads => lists::tags(served, &repository, parts).await,
        Route::Referrers(repository, digest) if reads => {
            lists::referrers(served, &repository, &digest, parts).await
        }
        Route::Manifest(repository, reference) => {
            manifests::answer(served, &repository, reference, parts, body).await
        }
        Route::Blob(repository, digest) => blobs::answer(served, &repository, &digest, parts).await,
        Route::Uploads(repository) if parts.method == Method::POST => {
            uploads::start(served, &repository, parts, body).await
        }
        Route::Upload(repository, id) => uploads::answer(served, &repository, &id, parts, body).await,
        _ => Err(ApiError::method(&parts.method)),
    }
}

/// A 200 with a JSON document.
fn json(document: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

/// An answer without a body: a status and headers.
fn empty<const N: usize>(status: StatusCode, headers: [(&'static str, String); N]) -> Response {
    (status, axum::response::AppendHeaders(headers), Body::empty()).into_response()
}
