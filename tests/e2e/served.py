"""A small HTTP server of the tests' own, for as long as a block runs."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served:
    """Listens at `address`, a free loopback port. Its handlers have it as `owner`, and hold `lock` to change it."""

    def __init__(self, handler):
        self.lock = threading.Lock()
        owned = type(handler.__name__, (handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), owned)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One that writes no log."""

    owner = None

    def log_message(self, *_):
        pass
