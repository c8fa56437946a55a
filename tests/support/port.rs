//! A port of this machine, and a thread that answers there.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A free loopback port. Whoever connects waits until somebody answers.
pub(crate) struct Port {
    listener: std::net::TcpListener,
    pub(crate) address: SocketAddr,
}

/// Somebody who answers at a port. It ends with its handle.
pub(crate) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    pub(crate) fn free() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        Self { listener, address }
    }

    /// Answers in a thread and a runtime of its own, so that no test is in its way.
    pub(crate) fn served<F: Future<Output = ()>>(
        self,
        answer: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Server {
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(self.listener).expect("a listener");
                tokio::select! {
                    () = answer(listener) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Server { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A test that has failed already has said why.
            let _ = thread.join();
        }
    }
}
