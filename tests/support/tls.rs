//! TLS in front of a test registry, with certificates of an authority that nobody knows.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::port::{Port, Server};

/// What is to be said of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// It is for this address, today.
    Good,
    /// It is for some other name.
    OfAnotherName,
    /// It was good long ago.
    Expired,
    /// It is the authority's own.
    Authoritys,
}

/// A port that speaks TLS and hands on to a registry that does not.
pub(crate) struct TlsFront {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The authority's certificate, PEM.
    pub(crate) authority: String,
    _server: Server,
}

impl TlsFront {
    /// Stands in front of `registry`.
    pub(crate) fn of(registry: SocketAddr, certificate: Certificate) -> Self {
        let (authority, config) = certificates(certificate);
        let port = Port::free();
        let address = port.address;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = port.served(move |listener| hand_on(listener, acceptor, registry));
        Self { address, authority, _server: server }
    }
}

async fn hand_on(listener: TcpListener, acceptor: TlsAcceptor, registry: SocketAddr) {
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust us goes away, which is its right.
            let Ok(mut client) = acceptor.accept(stream).await else { return };
            let Ok(mut behind) = TcpStream::connect(registry).await else { return };
            let _ = copy_bidirectional(&mut client, &mut behind).await;
        });
    }
}

/// An authority and a server of its making.
fn certificates(certificate: Certificate) -> (String, ServerConfig) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "an authority of a test");
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("a certificate").pem();
    if certificate == Certificate::Authoritys {
        let chain = params.self_signed(&key).expect("a certificate");
        return (authority, server(chain.into(), &key));
    }
    let issuer = Issuer::new(params, key);

    let name = if certificate == Certificate::OfAnotherName { "other.example.com" } else { "127.0.0.1" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    if certificate == Certificate::Expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let chain: CertificateDer<'static> = params.signed_by(&key, &issuer).expect("a certificate").into();
    (authority, server(chain, &key))
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    config.expect("a configuration")
}
