"""A reverse proxy that counts: which requests a registry saw, and which uploads were under way.

It stands between a client and one registry on the loopback, passes everything on unchanged, and can slow
bodies down so that an upload takes long enough to be interrupted.
"""

import http.client
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 64 * 1024
# These belong to one connection, not to the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"}


@dataclass(frozen=True)
class Request:
    """One request as the proxy saw it; `status` is 0 where no answer came."""

    method: str
    path: str
    status: int
    authorized: bool = False


@dataclass
class Upload:
    """A blob upload's body on its way: bytes seen so far, and whether its end was seen."""

    path: str
    seen: int = 0
    complete: bool = False
    broken: bool = False


class CountingProxy:
    """Listens on a free loopback port; `bytes_per_second` limits all bodies together."""

    def __init__(self, upstream, bytes_per_second=None):
        self.upstream = upstream
        self.requests = []
        self.uploads = []
        self._lock = threading.Lock()
        self._rate = bytes_per_second
        self._free_at = 0.0
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def forget(self):
        """Begins a new count."""
        with self._lock:
            self.requests = []
            self.uploads = []

    def counted(self):
        """The registry requests seen, without the bare ping of /v2/."""
        with self._lock:
            return [request for request in self.requests if request.path.rstrip("/") != "/v2"]

    def writes(self):
        """The requests that could change a registry."""
        return [request for request in self.counted() if request.method not in ("GET", "HEAD")]

    def uploads_in_flight(self):
        """How many uploads with a body have begun and not ended."""
        with self._lock:
            return sum(1 for upload in self.uploads if not upload.complete and not upload.broken)

    def broken_uploads(self):
        """The uploads whose sender went away in the middle of the body."""
        with self._lock:
            return [upload for upload in self.uploads if upload.broken]

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def note(self, request):
        with self._lock:
            self.requests.append(request)

    def begin_upload(self, path):
        upload = Upload(path)
        with self._lock:
            self.uploads.append(upload)
        return upload

    def pace(self, size):
        """Waits as long as `size` bytes take at the chosen rate."""
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            wait = self._free_at - now
        time.sleep(wait)


@contextmanager
def counting(registry, bytes_per_second=None):
    """A proxy before `registry` for as long as the block runs."""
    proxy = CountingProxy(registry.host, bytes_per_second)
    try:
        yield proxy
    finally:
        proxy.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self):
        # A small buffer, inherited by the connections: else the kernel takes megabytes ahead of the proxy,
        # and a sender that was killed in the middle seems to have sent everything.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
        super().server_bind()

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is no error here: killing clients is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner = None
    _connection = None

    def log_message(self, *_):
        pass

    def handle_any(self):
        proxy = self.owner
        status = 0
        try:
            status = self._relay(proxy)
        except (OSError, http.client.HTTPException):
            # One side went away: the other one has to see a broken connection, not a shortened body.
            self.close_connection = True
            self._drop()
        finally:
            proxy.note(Request(self.command, self.path, status, "Authorization" in self.headers))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def finish(self):
        self._drop()
        super().finish()

    def _drop(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _relay(self, proxy):
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        length = int(self.headers.get("Content-Length") or 0)
        has_body = chunked or length > 0
        # A connection kept open may have been closed by the registry meanwhile, and a body cannot be sent a
        # second time: each request gets a new one, which costs little on the loopback.
        self._drop()
        connection = self._connection = http.client.HTTPConnection(proxy.upstream, timeout=120)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                connection.putheader(name, value)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        if has_body:
            self._relay_request_body(proxy, connection, chunked, length)
        answer = connection.getresponse()
        self._relay_answer(proxy, answer)
        return answer.status

    def _relay_request_body(self, proxy, connection, chunked, length):
        upload = proxy.begin_upload(self.path) if "/blobs/uploads/" in self.path else None
        try:
            for piece in self._pieces(chunked, length):
                proxy.pace(len(piece))
                if upload:
                    upload.seen += len(piece)
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                connection.send(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            if upload:
                upload.broken = True
            raise
        if upload:
            upload.complete = True

    def _pieces(self, chunked, length):
        if not chunked:
            while length > 0:
                piece = self.rfile.read1(min(PIECE, length))
                if not piece:
                    raise ConnectionError("the client went away in the middle of a body")
                length -= len(piece)
                yield piece
            return
        while True:
            header = self.rfile.readline(64)
            if not header.endswith(b"\n"):
                raise ConnectionError("the client went away in the middle of a body")
            size = int(header.split(b";")[0], 16)
            if size == 0:
                while self.rfile.readline(8192) not in (b"\r\n", b"\n", b""):
                    pass
                return
            while size > 0:
                piece = self.rfile.read1(min(PIECE, size))
                if not piece:
                    raise ConnectionError("the client went away in the middle of a body")
                size -= len(piece)
                yield piece
            self.rfile.readline(8)

    def _relay_answer(self, proxy, answer):
        self.send_response_only(answer.status, answer.reason)
        length = answer.getheader("Content-Length")
        bodiless = self.command == "HEAD" or answer.status in (204, 304) or 100 <= answer.status < 200
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        chunked = not bodiless and length is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bodiless:
            answer.read()
            return
        while piece := answer.read1(PIECE):
            proxy.pace(len(piece))
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
