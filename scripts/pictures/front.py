"""A registry that refuses and breaks, for what registries in memory do not do by themselves."""

import http.client
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """An HTTP server on a free loopback port, in a thread of its own; it ends with the program."""

    def __init__(self):
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, content = answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = handle_any

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """Whoever hangs up in the middle does not spoil a run."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, method, path, headers, body):
        """Status, headers and content."""
        raise NotImplementedError


class Front(Server):
    """An HTTP proxy that passes questions on to one registry, and now and then has an answer of its own.

    Whoever comes through it reads the name of the host that was asked for in errors, and no loopback address.

    `private` are repositories that it refuses; `gone` are those whose blobs are not there; `busy` are those
    whose first blob comes only when it is asked for twice.
    """

    def __init__(self, behind, private=(), gone=(), busy=()):
        self._behind = behind
        self._private, self._gone, self._busy = private, gone, set(busy)
        self._lock = threading.Lock()
        super().__init__()

    def answer(self, method, path, headers, body):
        path = re.sub(r"^http://[^/]+", "", path)
        found = re.match(r"/v2/(.+?)/(manifests|blobs|referrers|tags)/", path)
        repository, kind = (found[1], found[2]) if found else ("", "")
        if repository in self._private:
            return self._error(403, "DENIED", "requested access to the resource is denied")
        if kind == "blobs":
            if repository in self._gone:
                return self._error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            with self._lock:
                if repository in self._busy:
                    self._busy.discard(repository)
                    return self._error(503, "UNAVAILABLE", "try again")
        connection = http.client.HTTPConnection(self._behind, timeout=60)
        try:
            passed = {name: value for name, value in headers.items() if name.lower() in ("accept", "range")}
            connection.request(method, path, headers=passed)
            answer = connection.getresponse()
            kept = ("content-type", "docker-content-digest", "content-length", "oci-filters-applied")
            given = {name: value for name, value in answer.getheaders() if name.lower() in kept}
            return answer.status, given, answer.read()
        finally:
            connection.close()

    @staticmethod
    def _error(status, code, message):
        content = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        return status, {"Content-Type": "application/json"}, content
