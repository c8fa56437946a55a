//! The way to a registry: its name, a connection, TLS, and whether it is a registry that answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::super::answer::Answer;
use super::super::plain;
use super::{Area, Examiner, Findings, Front, State, said};
use crate::store::StoreError;

const AREA: Area = Area::Connection;

/// How many addresses of a name are told.
const TOLD: usize = 4;

/// What a TLS library says, what that means, and what to do.
const TLS_PROBLEMS: [(&str, &str, &str); 10] = [
    (
        "UnknownIssuer",
        "its certificate is signed by an authority that is not trusted here",
        "give the authority's certificate with --ca-file",
    ),
    (
        "CaUsedAsEndEntity",
        "its certificate is that of an authority, and no server may use such a one",
        "issue a certificate for the server (basicConstraints CA:FALSE), signed by that authority or by itself",
    ),
    (
        "expired",
        "its certificate has expired",
        "have it renewed; if it is not old, look at this machine's clock",
    ),
    ("not valid yet", "its certificate is not valid yet", "look at this machine's clock"),
    (
        "not valid for",
        "its certificate is for another name",
        "use the name that the certificate is for, or have it issued for this one",
    ),
    ("evoked", "its certificate was revoked", "have a new one issued"),
    ("ertificateRequired", "it wants a client certificate", "give one with --client-cert and --client-key"),
    (
        "InvalidContentType",
        "it does not speak TLS at this port",
        "if it is meant to be spoken to without encryption, use --plain-http",
    ),
    (
        "HandshakeFailure",
        "it has no version or cipher of TLS in common with us",
        "have TLS 1.2 or 1.3 turned on there",
    ),
    ("ProtocolVersion", "it has no version of TLS in common with us", "have TLS 1.2 or 1.3 turned on there"),
];

impl Examiner<'_> {
    /// Goes the way to the registry, as far as it leads. `None` if nothing more can be asked.
    pub(super) async fn reach(&self, findings: &mut Findings) -> Option<Front> {
        let base = &self.remote.client.base;
        let host = base.host_str().unwrap_or_default();
        let port = base.port_or_known_default().unwrap_or_default();
        if self.subject.proxied && !self.host.is_loopback() {
            let message = "not looked up here: requests go through the proxy that the environment names";
            findings.add(AREA, "name", State::Unknown, message);
        } else {
            let addresses = look_up(findings, host, port, self.remote.client.patience.connect).await?;
            self.connect(findings, &addresses).await?;
        }
        let call = self.call(Method::GET, "", "reach");
        let answered = self.remote.client.fetch_unauthenticated(&call, ROOT_BYTES).await;
        let encrypted = base.scheme() == "https";
        match answered {
            Ok((answer, _)) => {
                if encrypted {
                    findings.add(AREA, "tls", State::Ok, "the certificate is trusted");
                } else {
                    findings.add(AREA, "tls", State::No, "plain HTTP, without encryption");
                }
                findings.limits.extend(super::limits::read(&answer.headers));
                let plain = plain::advice(&answer.url).filter(|_| answer.status == StatusCode::BAD_REQUEST);
                judge(findings, &answer, plain)
            }
            Err(error) => {
                explain(findings, &error, encrypted);
                None
            }
        }
    }

    async fn connect(&self, findings: &mut Findings, addresses: &[SocketAddr]) -> Option<()> {
        let patience = self.remote.client.patience.connect;
        let mut last = String::new();
        for address in addresses {
            let began = Instant::now();
            match timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(_)) => {
                    let message = format!("{address} answers in {} ms", began.elapsed().as_millis());
                    findings.add(AREA, "connection", State::Ok, message);
                    return Some(());
                }
                Ok(Err(error)) => last = format!("{address}: {error}"),
                Err(_) => last = format!("{address} did not answer within {} s", patience.as_secs_f32()),
            }
        }
        let advice = "look at the port, and at what is in between: firewalls, networks, proxies";
        findings.advise(AREA, "connection", State::Failed, last, advice);
        None
    }
}

/// An answer never came: because of TLS, or of what comes after.
fn explain(findings: &mut Findings, error: &StoreError, encrypted: bool) {
    let text = said(error);
    let known = TLS_PROBLEMS.iter().find(|(sign, ..)| encrypted && text.contains(sign));
    let Some((_, problem, advice)) = known else {
        if encrypted && text.contains("ertificate") {
            findings.add(AREA, "tls", State::Failed, text);
        } else {
            let advice = refused_with(&text).map_or(
                "something is in between that ends connections, or what is there is no registry",
                advice_on,
            );
            // What is known of it stands in the text already.
            match text.split_once("; ") {
                Some((text, advice)) => findings.advise(AREA, "api", State::Failed, text, advice),
                None => findings.advise(AREA, "api", State::Failed, text, advice),
            }
        }
        return;
    };
    let message = format!("{problem} ({})", in_its_words(&text));
    findings.advise(AREA, "tls", State::Failed, message, *advice);
}

/// Whether what answers is a registry.
fn judge(findings: &mut Findings, answer: &Answer, plain: Option<String>) -> Option<Front> {
    const NAME: &str = "api";
    let status = answer.status;
    let page = answer.header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
    let what = format!("GET /v2/ is answered with {status}");
    if let Some(location) = answer.header(LOCATION).filter(|_| status.is_redirection()) {
        // Without the query, which can hold anything.
        let next = answer.url.join(location).ok();
        let next =
            next.map_or_else(|| "nowhere".to_owned(), |next| format!("{}{}", next.authority(), next.path()));
        let message = format!("{what}, which leads to {next}");
        let advice = "use the address of the registry itself";
        findings.advise(AREA, NAME, State::Failed, message, advice);
        return None;
    }
    match status {
        StatusCode::OK if !page => {
            let (has_tokens, has_basic) = ways_in(answer);
            let takes_login = has_tokens || has_basic;
            let how = if takes_login {
                "strangers are let in, and others may log in"
            } else {
                "it asks nobody for a login"
            };
            findings.add(AREA, NAME, State::Ok, format!("{what}: {how}"));
            Some(Front { wants_login: false, takes_login, has_tokens })
        }
        StatusCode::UNAUTHORIZED => {
            let (has_tokens, has_basic) = ways_in(answer);
            let way = match (has_tokens, has_basic) {
                (true, _) => "with a token of its token service",
                (false, true) => "with user and password",
                (false, false) => {
                    let message = format!("{what}, and without a way to log in that is known");
                    let advice = "a proxy in front may want to know who asks: look at what it is";
                    findings.advise(AREA, NAME, State::Failed, message, advice);
                    return None;
                }
            };
            findings.add(AREA, NAME, State::Ok, format!("{what}: it wants a login, {way}"));
            Some(Front { wants_login: true, takes_login: true, has_tokens })
        }
        StatusCode::OK | StatusCode::NOT_FOUND => {
            let page = if page { ", and with a web page" } else { "" };
            let message = format!("{what}{page}: this is no registry");
            let advice = "look at host and port; a registry answers at the root of its host";
            findings.advise(AREA, NAME, State::Failed, message, advice);
            None
        }
        _ => {
            let advice = plain.unwrap_or_else(|| advice_on(status).to_owned());
            findings.advise(AREA, NAME, State::Failed, what, advice);
            None
        }
    }
}

/// Whether an answer says that a token, and that a user and a password, are a way in.
fn ways_in(answer: &Answer) -> (bool, bool) {
    let challenges = || answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok());
    let says = |scheme: &str| challenges().any(|text| text.to_ascii_lowercase().starts_with(scheme));
    (says("bearer"), says("basic"))
}

/// The status that an error tells of, which is all that is left of an answer that may be another one later.
fn refused_with(text: &str) -> Option<StatusCode> {
    let (_, rest) = text.split_once(" answered ")?;
    rest.get(..3)?.parse().ok()
}

/// What to do about a registry whose front page is refused.
fn advice_on(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => {
            "too much is asked of it from here: wait a while, have others that share this address ask less, or ask its \
             operator for a higher limit"
        }
        502..=504 => {
            "a proxy answers, or the registry while it starts or is overloaded: try again in a minute, then look at \
             whether the registry runs and at the proxy's log"
        }
        500.. => {
            "something is wrong in the registry, or in a proxy in front of it: look at its log, or tell its operator"
        }
        _ => "the registry, or a proxy in front of it, refuses whoever asks from here",
    }
}

/// No answer to a request for the root is longer.
const ROOT_BYTES: usize = 256 * 1024;

/// What the TLS library says itself: in `cannot connect to HOST: WORDS; ADVICE` what stands between.
fn in_its_words(text: &str) -> &str {
    let words = text.split_once(": ").map_or(text, |(_, words)| words);
    words.split_once("; a certificate authority").map_or(words, |(words, _)| words)
}

async fn look_up(
    findings: &mut Findings,
    host: &str,
    port: u16,
    patience: std::time::Duration,
) -> Option<Vec<SocketAddr>> {
    const NAME: &str = "name";
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if let Ok(address) = literal {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let advice = "look at how the name is written, and at the name servers of this machine";
    let found = match timeout(patience, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            findings.advise(AREA, NAME, State::Failed, format!("{host} is not found: {error}"), advice);
            return None;
        }
        Err(_) => {
            let message = format!("no name server said within {} s where {host} is", patience.as_secs_f32());
            findings.advise(AREA, NAME, State::Failed, message, advice);
            return None;
        }
    };
    let mut told: Vec<String> = found.iter().take(TOLD).map(|address| address.ip().to_string()).collect();
    if found.len() > TOLD {
        told.push("…".to_owned());
    }
    if told.is_empty() {
        findings.advise(AREA, NAME, State::Failed, format!("{host} has no address"), advice);
        return None;
    }
    findings.add(AREA, NAME, State::Ok, format!("{host} is {}", told.join(", ")));
    Some(found)
}
