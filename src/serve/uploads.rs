//! Uploads of blobs: in one request, in chunks, and mounts (end-4 to end-6, end-11, end-13).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::Query;
use axum::response::Response;
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::BodyDataStream;
use serde::Deserialize;

use super::backend::Upload;
use super::error::ApiError;
use super::route::digest;
use super::{Served, empty};
use crate::oci::{Digest, Repository};

/// The most uploads that may be open. Clients that vanish leave theirs open; the oldest goes first.
const MOST_OPEN: usize = 1024;

/// The uploads that are under way.
#[derive(Default)]
pub(super) struct Uploads {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: HashMap<String, Arc<Session>>,
    /// The sessions' names, the oldest first.
    order: VecDeque<String>,
    random: RandomState,
    started: u64,
}

struct Session {
    id: String,
    repository: Repository,
    /// Bytes so far; readable while a request writes.
    received: AtomicU64,
    /// Whoever writes holds the lock; nothing is there once the upload has ended.
    upload: tokio::sync::Mutex<Option<Box<dyn Upload>>>,
}

impl Uploads {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, repository: &Repository, upload: Box<dyn Upload>) -> Arc<Session> {
        let mut open = self.open();
        open.started += 1;
        // The name is not to be guessed from another one, nor to be met again after a restart.
        let mut hasher = open.random.build_hasher();
        hasher.write_u64(open.started);
        let id = format!("{:016x}-{}", hasher.finish(), open.started);
        let session = Arc::new(Session {
            id: id.clone(),
            repository: repository.clone(),
            received: AtomicU64::new(0),
            upload: tokio::sync::Mutex::new(Some(upload)),
        });
        open.sessions.insert(id.clone(), Arc::clone(&session));
        open.order.push_back(id);
        while open.order.len() > MOST_OPEN {
            let oldest = open.order.pop_front();
            oldest.and_then(|oldest| open.sessions.remove(&oldest));
        }
        session
    }

    fn find(&self, repository: &Repository, id: &str) -> Result<Arc<Session>, ApiError> {
        let session = self.open().sessions.get(id).cloned();
        session.filter(|session| session.repository == *repository).ok_or_else(ApiError::upload_unknown)
    }

    fn remove(&self, id: &str) {
        let mut open = self.open();
        open.sessions.remove(id);
        open.order.retain(|other| other != id);
    }
}

#[derive(Debug, Deserialize)]
struct Wanted {
    digest: Option<String>,
    mount: Option<String>,
    from: Option<String>,
}

fn query(parts: &Parts) -> Result<Wanted, ApiError> {
    Query::try_from_uri(&parts.uri)
        .map(|query| query.0)
        .map_err(|error| ApiError::upload_invalid(format!("the query: {error}")))
}

/// POST: a whole blob, a mount, or the start of an upload.
pub(super) async fn start(
    served: &Served,
    repository: &Repository,
    parts: &Parts,
    body: &mut Body,
) -> Result<Response, ApiError> {
    let wanted = query(parts)?;
    if let Some(text) = &wanted.digest {
        let digest = digest(text)?;
        let mut upload = served.backend.start_upload().await?;
        receive(upload.as_mut(), body, &AtomicU64::new(0), None).await?;
        upload.finish(repository, &digest).await.map_err(ApiError::upload)?;
        return Ok(created(repository, &digest));
    }
    if let Some(text) = &wanted.mount {
        let digest = digest(text)?;
        if mount(served, repository, &digest, wanted.from.as_deref()).await? {
            return Ok(created(repository, &digest));
        }
    }
    let session = served.uploads.add(repository, served.backend.start_upload().await?);
    Ok(status(&session, StatusCode::ACCEPTED))
}

async fn mount(
    served: &Served,
    repository: &Repository,
    digest: &Digest,
    from: Option<&str>,
) -> Result<bool, ApiError> {
    // A name that no repository can have is one that has no blobs: an upload starts.
    let from = match from.map(str::parse::<Repository>) {
        Some(Ok(from)) => Some(from),
        None if served.behaviour.automatic_mount => None,
        Some(Err(_)) | None => return Ok(false),
    };
    Ok(served.behaviour.mount && served.backend.mount(repository, digest, from.as_ref()).await?)
}

/// All that is done to an upload that is under way.
pub(super) async fn answer(
    served: &Served,
    repository: &Repository,
    id: &str,
    parts: &Parts,
    body: &mut Body,
) -> Result<Response, ApiError> {
    let session = served.uploads.find(repository, id)?;
    match parts.method {
        Method::GET => Ok(status(&session, StatusCode::NO_CONTENT)),
        Method::PATCH => {
            append(served, &session, &parts.headers, body).await?;
            Ok(status(&session, StatusCode::ACCEPTED))
        }
        Method::PUT => {
            let wanted = query(parts)?;
            let text = wanted.digest.ok_or_else(|| ApiError::digest_invalid("there is no `digest`"))?;
            let digest = digest(&text)?;
            append(served, &session, &parts.headers, body).await?;
            served.uploads.remove(id);
            let upload = session.upload.lock().await.take().ok_or_else(ApiError::upload_unknown)?;
            upload.finish(repository, &digest).await.map_err(ApiError::upload)?;
            Ok(created(repository, &digest))
        }
        Method::DELETE => {
            served.uploads.remove(id);
            Ok(empty(StatusCode::NO_CONTENT, []))
        }
        _ => Err(ApiError::method(&parts.method)),
    }
}

/// Takes a chunk. One out of order is refused and changes nothing; one that breaks off leaves what came,
/// and the client can ask how much that is; one that the store or its own headers contradict ends all.
async fn append(
    served: &Served,
    session: &Session,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<(), ApiError> {
    let chunk = Chunk::of(headers)?;
    let mut upload = session.upload.lock().await;
    let writer = upload.as_mut().ok_or_else(ApiError::upload_unknown)?;
    let received = session.received.load(Ordering::Acquire);
    if let Some(chunk) = &chunk
        && chunk.start != received
    {
        let message = format!("the next chunk begins at {received}");
        return Err(ApiError::size_invalid(StatusCode::RANGE_NOT_SATISFIABLE, message)
            .with_header("location", location(session))
            .with_header("range", range(received)));
    }
    let result = receive(writer.as_mut(), body, &session.received, chunk.map(|chunk| chunk.length)).await;
    match result {
        Err(Broken::Off(error)) => Err(error),
        Err(Broken::Ended(error)) => {
            upload.take();
            served.uploads.remove(&session.id);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

/// How a chunk did not come.
enum Broken {
    /// The connection ended; the client may go on from what came.
    Off(ApiError),
    /// What came is of no use.
    Ended(ApiError),
}

impl From<Broken> for ApiError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Off(error) | Broken::Ended(error) => error,
        }
    }
}

async fn receive(
    upload: &mut dyn Upload,
    body: &mut Body,
    received: &AtomicU64,
    length: Option<u64>,
) -> Result<(), Broken> {
    let mut pieces = BodyDataStream::new(body);
    let mut left = length;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| Broken::Off(ApiError::upload_invalid(error.to_string())))?;
        let size = piece.len() as u64;
        if let Some(left) = &mut left {
            *left = left.checked_sub(size).ok_or_else(contradiction)?;
        }
        upload.append(piece).await.map_err(|error| Broken::Ended(error.into()))?;
        received.fetch_add(size, Ordering::AcqRel);
    }
    if left.is_some_and(|left| left > 0) {
        return Err(contradiction());
    }
    Ok(())
}

fn contradiction() -> Broken {
    let message = "the chunk has not the length that its Content-Range says";
    Broken::Ended(ApiError::size_invalid(StatusCode::BAD_REQUEST, message))
}

/// A `Content-Range` of a chunk: `START-END`, both inclusive, which is the specification's form.
struct Chunk {
    start: u64,
    length: u64,
}

impl Chunk {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
        let invalid = || ApiError::upload_invalid("a Content-Range is written START-END");
        // Some clients write it as RFC 9110 has it: `bytes START-END/SIZE`.
        let text = value.to_str().map_err(|_| invalid())?.trim_start_matches("bytes ");
        let text = text.split('/').next().unwrap_or_default();
        let (start, end) = text.split_once('-').ok_or_else(invalid)?;
        let start: u64 = start.parse().map_err(|_| invalid())?;
        let end: u64 = end.parse().map_err(|_| invalid())?;
        let length = end.checked_sub(start).and_then(|span| span.checked_add(1)).ok_or_else(invalid)?;
        Ok(Some(Self { start, length }))
    }
}

fn created(repository: &Repository, digest: &Digest) -> Response {
    empty(
        StatusCode::CREATED,
        [
            ("location", format!("/v2/{repository}/blobs/{digest}")),
            ("docker-content-digest", digest.to_string()),
        ],
    )
}

fn status(session: &Session, status: StatusCode) -> Response {
    empty(
        status,
        [
            ("location", location(session)),
            ("range", range(session.received.load(Ordering::Acquire))),
            ("docker-upload-uuid", session.id.clone()),
        ],
    )
}

fn location(session: &Session) -> String {
    format!("/v2/{}/blobs/uploads/{}", session.repository, session.id)
}

/// The bytes that are there, the last one inclusive. There is no way to write "none"; all registries
/// say `0-0`.
fn range(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}
