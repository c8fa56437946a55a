//! `serve`: an image layout folder, or memory, as a registry on a loopback address.

mod layout;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

use crate::layout::Layout;
use crate::serve::{self, Backend, Memory};

/// What is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A store in memory, empty at first and gone at the end.
    Memory,
    /// An image layout folder; one that does not exist is made by the first push.
    Layout(PathBuf),
}

/// Serves `content` on `listen` until `shutdown` completes. Once requests are taken, `serving` is told the
/// URL, with the port that port 0 became.
///
/// # Errors
///
/// Fails if the address is not a loopback address or is taken, or if the folder is something else than a
/// layout.
pub async fn run(
    content: &Content,
    listen: SocketAddr,
    shutdown: impl Future<Output = ()> + Send + 'static,
    serving: impl FnOnce(&str),
) -> anyhow::Result<()> {
    if !listen.ip().is_loopback() {
        bail!(
            "failed to listen on {listen}: the registry asks nobody who they are, so that all who reach it \
             could change what it holds; use a loopback address, such as 127.0.0.1:{}",
            listen.port()
        );
    }
    let backend: Arc<dyn Backend> = match content {
        Content::Memory => Arc::new(Memory::new()),
        Content::Layout(folder) => {
            let layout = Layout::new(folder);
            // A folder that is no layout is to be told now, not to whoever pulls first.
            layout.repositories().await?;
            Arc::new(layout)
        }
    };
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("failed to listen on {listen}"))?;
    let address = listener.local_addr().context("failed to learn the port")?;
    serving(&format!("http://{address}"));
    serve::serve(listener, serve::router(backend), shutdown).await.context("failed to serve")
}
