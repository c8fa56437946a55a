//! A bad line: a relay between a client and a registry that goes wrong on order. It speaks as much HTTP as it takes to
//! know where a body begins, gives each request a connection of its own, and works on bytes from there on, so that it
//! can do what no HTTP server would.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::port::{Port, Server};

/// The longest head of a request or an answer.
const HEAD: usize = 64 * 1024;

/// So much is passed on at a time.
const PIECE: usize = 64 * 1024;

/// So long what was passed on has to arrive, before the connection ends.
const ARRIVAL: Duration = Duration::from_millis(20);

/// Where the relay gives tokens.
const TOKEN: &str = "/relay-token";

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It waits before it goes on.
    Latency(Duration),
    /// Bodies flow at so many bytes a second.
    Bandwidth(u64),
    /// Neither side hears of it: the connection is reset before anything is passed on.
    ResetAtOnce,
    /// The connection is reset after so many bytes of the request's body.
    ResetRequest(u64),
    /// The connection is reset after so many bytes of the answer's body.
    ResetAnswer(u64),
    /// The connection stands, and nothing comes any more after so many bytes of the answer's body; nothing at all, its
    /// head neither, where that is `None`.
    HalfOpen(Option<u64>),
    /// It is answered with this status, and the `Retry-After`, if there is one.
    Status(u16, Option<&'static str>),
    /// The connection ends in good order after so many bytes of the answer's body, too soon.
    Truncate(u64),
    /// The same, and the answer has not said how long it is.
    TruncateUnannounced(u64),
    /// A bit of the answer's body is another one, at this place.
    Corrupt(u64),
    /// The same of the request's body.
    CorruptRequest(u64),
    /// The answer's body comes in pieces of so many bytes, each after a pause.
    Drip(usize, Duration),
    /// The token is said to have expired after so many bytes of the request's body.
    Expired(u64),
}

impl Trouble {
    /// Its kind, for counts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::Bandwidth(_) => "low bandwidth",
            Self::ResetAtOnce => "reset at once",
            Self::ResetRequest(_) => "reset in a request",
            Self::ResetAnswer(_) => "reset in an answer",
            Self::HalfOpen(_) => "half-open",
            Self::Status(429, None) => "429",
            Self::Status(429, Some(_)) => "429 with Retry-After",
            Self::Status(_, None) => "5xx",
            Self::Status(_, Some(_)) => "5xx with Retry-After",
            Self::Truncate(_) | Self::TruncateUnannounced(_) => "truncated",
            Self::Corrupt(_) => "corrupted",
            Self::CorruptRequest(_) => "corrupted request",
            Self::Drip(..) => "slow drip",
            Self::Expired(_) => "expired token",
        }
    }

    /// Whether the request comes to an end in spite of it.
    pub(crate) fn is_only_slow(&self) -> bool {
        matches!(self, Self::Latency(_) | Self::Bandwidth(_) | Self::Drip(..))
    }
}

/// A request, as the relay sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The method.
    pub(crate) method: String,
    /// The path with its query.
    pub(crate) path: String,
    /// The bytes of its body.
    pub(crate) length: u64,
    host: String,
}

type Plan = Arc<dyn Fn(&Seen) -> Option<Trouble> + Send + Sync>;

#[derive(Default)]
struct Shared {
    plan: Mutex<Option<Plan>>,
    injected: Mutex<BTreeMap<&'static str, u64>>,
    down: AtomicU64,
}

/// A running relay.
pub(crate) struct Relay {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _server: Server,
}

impl Relay {
    /// A good line to a registry.
    pub(crate) fn to(registry: SocketAddr) -> Self {
        let port = Port::free();
        let address = port.address;
        let shared = Arc::new(Shared::default());
        let line = Arc::clone(&shared);
        let server = port.served(move |listener| accept(listener, registry, line));
        Self { address, shared, _server: server }
    }

    /// Has `plan` say of each request from now on what goes wrong with it.
    pub(crate) fn troubles(&self, plan: impl Fn(&Seen) -> Option<Trouble> + Send + Sync + 'static) {
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(plan));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn heal(&self) {
        *self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// `127.0.0.1:PORT`, as a reference has it.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What went wrong so far, by kind.
    pub(crate) fn injected(&self) -> BTreeMap<&'static str, u64> {
        self.shared.injected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bytes of answers' bodies that were passed on to the client.
    pub(crate) fn bytes_down(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, registry: SocketAddr, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A side that goes away ends the connection, which is all there is to do.
            let _ = relay(client, registry, &shared).await;
        });
    }
}

/// How a request ends, seen from the client.
enum End {
    /// All was passed on that was to be.
    Closed,
    Reset,
    /// The connection stands, and nothing comes any more.
    Silent,
    /// With this answer, whatever was still to come.
    Answer(String),
}

/// One request and its answer.
async fn relay(mut client: TcpStream, registry: SocketAddr, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (head, first) = read_head(&mut client).await?;
    let seen = Seen::of(&head);
    let trouble = trouble_of(&seen, shared);
    let end = match &trouble {
        _ if seen.path.starts_with(TOKEN) => End::Answer(answer("200 OK", "", "{\"token\":\"fresh\"}")),
        Some(Trouble::ResetAtOnce) => End::Reset,
        Some(Trouble::HalfOpen(None)) => End::Silent,
        Some(Trouble::Status(status, retry_after)) => {
            let headers = retry_after.map(|text| format!("Retry-After: {text}\r\n")).unwrap_or_default();
            End::Answer(answer(&format!("{status} On Order"), &headers, ""))
        }
        _ => pass(&mut client, registry, &head, first, trouble.as_ref(), shared).await?,
    };
    match end {
        End::Reset => client.set_zero_linger(),
        End::Silent => drain(&mut client).await,
        End::Answer(text) => {
            client.write_all(text.as_bytes()).await?;
            client.shutdown().await?;
            drain(&mut client).await
        }
        End::Closed => {
            client.shutdown().await?;
            drain(&mut client).await
        }
    }
}

fn trouble_of(seen: &Seen, shared: &Shared) -> Option<Trouble> {
    let plan = shared.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    let trouble = plan(seen)?;
    let mut injected = shared.injected.lock().unwrap_or_else(PoisonError::into_inner);
    *injected.entry(trouble.kind()).or_default() += 1;
    Some(trouble)
}

/// Connects both sides until the answer has come, or trouble.
async fn pass(
    client: &mut TcpStream,
    registry: SocketAddr,
    head: &str,
    first: Vec<u8>,
    trouble: Option<&Trouble>,
    shared: &Shared,
) -> io::Result<End> {
    if let Some(Trouble::Latency(time)) = trouble {
        sleep(*time).await;
    }
    let mut registry = TcpStream::connect(registry).await?;
    registry.set_nodelay(true)?;
    let seen = Seen::of(head);
    let (from_client, to_client) = client.split();
    let (from_registry, mut to_registry) = registry.split();
    to_registry.write_all(with_close(head, true).as_bytes()).await?;
    let up = async {
        match pass_up(from_client, to_registry, first, &seen, trouble).await {
            // The answer is still to come.
            Ok(None) => std::future::pending().await,
            Ok(Some(end)) => Ok(end),
            // The registry may have answered early and gone, or the client.
            Err(_) => {
                sleep(Duration::from_millis(100)).await;
                Ok(End::Reset)
            }
        }
    };
    tokio::select! {
        end = pass_down(from_registry, to_client, trouble, shared) => end,
        end = up => end,
    }
}

/// Passes a request's body on; gives what ends the request before it has come to its end.
async fn pass_up(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    first: Vec<u8>,
    seen: &Seen,
    trouble: Option<&Trouble>,
) -> io::Result<Option<End>> {
    let (most, end) = match trouble {
        Some(Trouble::ResetRequest(most)) => (*most, Some(End::Reset)),
        Some(Trouble::Expired(most)) => (*most, Some(End::Answer(seen.challenge()))),
        _ => (u64::MAX, None),
    };
    let mut buffer = first;
    let mut passed = 0;
    while passed < seen.length.min(most) {
        if buffer.is_empty() {
            buffer.resize(PIECE, 0);
            let read = from.read(&mut buffer).await?;
            buffer.truncate(read);
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let left = usize::try_from(most - passed).unwrap_or(usize::MAX);
        buffer.truncate(left);
        if let Some(Trouble::CorruptRequest(place)) = trouble {
            corrupt(&mut buffer, *place, passed);
        }
        pace(trouble, buffer.len()).await;
        to.write_all(&buffer).await?;
        passed += buffer.len() as u64;
        buffer.clear();
    }
    if end.is_some() && seen.length >= most {
        // What came before has to arrive, or else it might as well not have been sent.
        sleep(ARRIVAL).await;
        return Ok(end);
    }
    Ok(None)
}

/// Passes an answer on.
async fn pass_down(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    trouble: Option<&Trouble>,
    shared: &Shared,
) -> io::Result<End> {
    let (head, mut buffer) = read_head(&mut from).await?;
    let (most, end) = match trouble {
        Some(Trouble::ResetAnswer(most)) => (*most, End::Reset),
        Some(Trouble::HalfOpen(Some(most))) => (*most, End::Silent),
        Some(Trouble::Truncate(most) | Trouble::TruncateUnannounced(most)) => (*most, End::Closed),
        _ => (u64::MAX, End::Closed),
    };
    let announced = !matches!(trouble, Some(Trouble::TruncateUnannounced(_)));
    to.write_all(with_close(&head, announced).as_bytes()).await?;
    let mut passed = 0;
    loop {
        if buffer.is_empty() && passed < most {
            buffer.resize(PIECE, 0);
            let read = from.read(&mut buffer).await?;
            buffer.truncate(read);
            if read == 0 {
                return Ok(End::Closed);
            }
        }
        if passed == most {
            sleep(ARRIVAL).await;
            return Ok(end);
        }
        let step = match trouble {
            Some(Trouble::Drip(step, _)) => *step,
            _ => PIECE,
        };
        let left = usize::try_from(most - passed).unwrap_or(usize::MAX);
        let mut piece = buffer.split_off(0);
        buffer = piece.split_off(piece.len().min(step).min(left));
        if let Some(Trouble::Corrupt(place)) = trouble {
            corrupt(&mut piece, *place, passed);
        }
        pace(trouble, piece.len()).await;
        to.write_all(&piece).await?;
        passed += piece.len() as u64;
        shared.down.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
}

/// Changes the byte at `place` of a body if it is in the piece that begins at `passed`.
fn corrupt(piece: &mut [u8], place: u64, passed: u64) {
    let at = place.checked_sub(passed).and_then(|at| usize::try_from(at).ok());
    if let Some(byte) = at.and_then(|at| piece.get_mut(at)) {
        *byte ^= 1;
    }
}

/// Takes as long as so many bytes do.
async fn pace(trouble: Option<&Trouble>, bytes: usize) {
    match trouble {
        Some(Trouble::Bandwidth(rate)) => {
            let micros = (bytes as u64).saturating_mul(1_000_000) / rate;
            sleep(Duration::from_micros(micros)).await;
        }
        Some(Trouble::Drip(_, pause)) => sleep(*pause).await,
        _ => {}
    }
}

/// Reads until the client goes away.
async fn drain(client: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// A head with the blank line at its end, and what was read after it.
async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut buffer = vec![0; PIECE];
    loop {
        if let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = all.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&all).into_owned(), rest));
        }
        let read = from.read(&mut buffer).await?;
        if read == 0 || all.len() > HEAD {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend_from_slice(&buffer[..read]);
    }
}

/// A head that asks for the connection's end after this, and says how long the body is or does not.
fn with_close(head: &str, announced: bool) -> String {
    let stays = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !line.is_empty() && name != "connection" && (announced || name != "content-length")
    };
    let lines: Vec<&str> = head.split("\r\n").filter(stays).collect();
    format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"))
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

impl Seen {
    fn of(head: &str) -> Self {
        let mut words = head.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().to_owned();
        let length = header(head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let host = header(head, "host").unwrap_or_default().to_owned();
        Self { method, path, length, host }
    }

    /// The refusal of a token that has expired. The relay has a token service, which gives one to everybody.
    fn challenge(&self) -> String {
        let realm = format!("http://{}{TOKEN}", self.host);
        let header = format!(
            "WWW-Authenticate: Bearer realm=\"{realm}\",service=\"relay\",error=\"invalid_token\"\r\n"
        );
        answer("401 Unauthorized", &header, "")
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
    headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
