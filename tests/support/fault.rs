//! What can go wrong at a registry, on order.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::StatusCode;

/// What is to happen to a request.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is answered with this, and the registry does not see it.
    Answer(Response),
    /// It is answered with this at once, while its body is still coming, as a proxy with a limit does.
    AnswerEarly(Response),
    /// It waits, then goes on as if nothing had been.
    Delay(Duration),
    /// It is never answered.
    Stall,
    /// The connection ends without an answer.
    Drop,
    /// The connection ends once so many bytes of the request's body have come.
    DropUploadAfter(usize),
    /// The answer's body ends, and the connection with it, after so many bytes.
    CutAfter(usize),
    /// The answer's body stops after so many bytes, and the connection stays.
    StallAfter(usize),
    /// Another byte in the place of the first one of the answer's body.
    Corrupt,
    /// It is served, and its answer is lost with the connection.
    LoseAnswer,
    /// It is answered as if it had not had this header.
    Ignore(&'static str),
    /// The answer lacks this header.
    Without(&'static str),
    /// The answer has this header, whatever it had before.
    With(&'static str, String),
    /// The answer has these headers, whatever it had before.
    WithAll(Vec<(&'static str, String)>),
    /// The answer's body comes byte by byte, with a pause before each.
    Drip(Duration),
    /// The answer's body never ends: what there is, over and over, without a Content-Length.
    Endless,
}

impl Fault {
    /// What nginx answers where a request is larger than its `client_max_body_size`.
    pub(crate) fn too_large() -> Self {
        Self::body(413, "text/html", "<html>413 Request Entity Too Large</html>").early()
    }

    /// The same answer at once, while the body is still coming.
    pub(crate) fn early(self) -> Self {
        match self {
            Self::Answer(response) => Self::AnswerEarly(response),
            other => other,
        }
    }

    /// An answer with this status, media type and body.
    pub(crate) fn body(status: u16, media_type: &str, body: impl Into<Body>) -> Self {
        let mut response = Response::new(body.into());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        let media_type = media_type.parse().expect("a media type");
        response.headers_mut().insert(http::header::CONTENT_TYPE, media_type);
        Self::Answer(response)
    }

    /// An empty answer that leads elsewhere.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::status_with(307, "", &[("location", location)])
    }

    /// An answer with a status and one of the specification's errors.
    pub(crate) fn status(status: u16, code: &str) -> Self {
        Self::status_with(status, code, &[])
    }

    /// An answer with a status, an error and headers.
    pub(crate) fn status_with(status: u16, code: &str, headers: &[(&'static str, &str)]) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": "on order" }] });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        Self::Answer(response)
    }
}

/// Carries a fault out.
pub(crate) async fn apply(fault: Option<Fault>, request: Request, next: Next) -> Response {
    match fault {
        None => next.run(request).await,
        Some(Fault::Answer(response)) => {
            drain(request.into_body()).await;
            response
        }
        Some(Fault::AnswerEarly(response)) => {
            let body = request.into_body();
            tokio::spawn(async move {
                let _ = axum::body::to_bytes(body, 1 << 26).await;
            });
            response
        }
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        Some(Fault::Stall) => std::future::pending().await,
        Some(Fault::Drop) => end_connection(),
        Some(Fault::DropUploadAfter(most)) => {
            let (parts, body) = request.into_parts();
            let body = limited(body, most, |()| end_connection());
            next.run(Request::from_parts(parts, Body::from_stream(body))).await
        }
        Some(Fault::CutAfter(most)) => {
            let (parts, body) = next.run(request).await.into_parts();
            let cut = async {
                // What came before has to be on its way, or else the whole answer is lost.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(std::io::Error::other("cut on order"))
            };
            let body = limited(body, most, |()| None).chain(futures::stream::once(cut));
            Response::from_parts(parts, Body::from_stream(body))
        }
        Some(Fault::StallAfter(most)) => {
            let (parts, body) = next.run(request).await.into_parts();
            let body = limited(body, most, |()| None).chain(futures::stream::pending());
            Response::from_parts(parts, Body::from_stream(body))
        }
        Some(Fault::Corrupt) => {
            let (parts, body) = next.run(request).await.into_parts();
            let mut first = true;
            let body = body.into_data_stream().map(move |piece| {
                piece.map(|piece| {
                    let mut bytes = piece.to_vec();
                    if std::mem::take(&mut first)
                        && let Some(byte) = bytes.first_mut()
                    {
                        *byte ^= 0x20;
                    }
                    Bytes::from(bytes)
                })
            });
            Response::from_parts(parts, Body::from_stream(body))
        }
        Some(Fault::LoseAnswer) => {
            drop(next.run(request).await);
            end_connection()
        }
        Some(Fault::Ignore(name)) => {
            let mut request = request;
            request.headers_mut().remove(name);
            next.run(request).await
        }
        Some(Fault::Without(name)) => {
            let mut response = next.run(request).await;
            response.headers_mut().remove(name);
            response
        }
        Some(Fault::With(name, value)) => with_headers(next.run(request).await, vec![(name, value)]),
        Some(Fault::WithAll(headers)) => with_headers(next.run(request).await, headers),
        Some(Fault::Drip(pause)) => {
            let (parts, body) = next.run(request).await.into_parts();
            let whole = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
            let drops = (0..whole.len()).map(move |at| whole.slice(at..=at));
            let body = futures::stream::iter(drops).then(move |drop| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, std::io::Error>(drop)
            });
            Response::from_parts(parts, Body::from_stream(body))
        }
        Some(Fault::Endless) => {
            let (mut parts, body) = next.run(request).await.into_parts();
            parts.headers.remove(http::header::CONTENT_LENGTH);
            let whole = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
            let whole = if whole.is_empty() { Bytes::from_static(b" ") } else { whole };
            let whole = Bytes::from(whole.repeat(1 + 64 * 1024 / whole.len()));
            let body = futures::stream::repeat(whole).map(Ok::<_, std::io::Error>);
            Response::from_parts(parts, Body::from_stream(body))
        }
    }
}

fn with_headers(mut response: Response, headers: Vec<(&'static str, String)>) -> Response {
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a header value"));
    }
    response
}

/// Reads what a refused request still sends, up to a point, so that its connection can go on.
pub(crate) async fn drain(body: Body) {
    let read = axum::body::to_bytes(body, 1 << 20);
    // What is longer, or slower, loses the connection, as at a real registry.
    let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
}

/// Ends the task that serves the connection, without a message on the terminal.
fn end_connection() -> ! {
    std::panic::resume_unwind(Box::new("the connection ends on order"))
}

/// The first `most` bytes of a body, then what `then` says.
fn limited(
    body: Body,
    most: usize,
    then: impl Fn(()) -> Option<Result<Bytes, std::io::Error>> + Send,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let state = (body.into_data_stream(), most, false);
    futures::stream::unfold((state, then), async |((mut pieces, left, ended), then)| {
        if ended {
            return None;
        }
        if left == 0 {
            // What came before is to reach the client: a server drops what it has not sent when a body fails.
            tokio::time::sleep(Duration::from_millis(20)).await;
            return then(()).map(|item| (item, ((pieces, left, true), then)));
        }
        let piece = pieces.next().await?.map_err(std::io::Error::other);
        let piece = piece.map(|mut bytes| bytes.split_to(bytes.len().min(left)));
        let seen = piece.as_ref().map_or(0, Bytes::len);
        Some((piece, ((pieces, left - seen, false), then)))
    })
}
