"""Our requests to GitHub's API, held against GitHub's own OpenAPI description by Prism.

Prism plays a server of the description. It does not know GraphQL, nor the media types that GitHub answers with: the
proxy in front of it answers the one and asks for plain JSON in place of the others. It also takes the base path of
a GitHub Enterprise Server away, and the example's links to further pages, which lead to github.com.
"""

import http.client
import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import Failure, check, free_port

READY_WITHIN = 120
ACCEPTED = ("application/vnd.github+json", "application/vnd.github.raw+json")


@dataclass(frozen=True)
class Validated:
    """A request, the answer's status, and what the description has against it."""

    method: str
    path: str
    status: int
    violations: str


class Prism:
    """A description that is served; `base` is the path that the API has on its host."""

    def __init__(self, workplace, description, base, graphql):
        self._workplace = workplace
        self.description = description
        self.base = base
        self.graphql = graphql
        self.seen = []
        self.faults = []
        file = workplace.tools / "node_modules/@octokit/openapi/generated" / description
        check(file.is_file(), f"{file} is missing")
        self._port = free_port()
        self._log = workplace.folder("logs") / f"prism-{description}.log"
        self._process = workplace.start(
            ["prism", "mock", "--host", "127.0.0.1", "--port", self._port, "--multiprocess", "false", file], self._log
        )
        prism = self

        class Handler(_Handler):
            owner = prism

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._workplace.stop(self._process)

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            if "Prism is listening" in self._log.read_text(errors="replace"):
                return
            time.sleep(0.2)
        raise Failure(f"Prism did not get ready:\n{self._log.read_text(errors='replace')[-2000:]}")

    def ask(self, method, path, body=None):
        """Sends a request of the test's own through the proxy, and says what came of it."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, self.base + path, data, {
            "Accept": ACCEPTED[0], "Authorization": "Bearer x", "Content-Type": "application/json",
            "User-Agent": "e2e", "X-GitHub-Api-Version": "2022-11-28",
        })  # fmt: skip
        connection.getresponse().read()
        connection.close()
        return self.seen.pop()

    def relay(self, method, path, headers, body):
        """Status and body of the answer."""
        if path == self.graphql:
            query = json.loads(body)["query"] if method == "POST" else ""
            if not re.fullmatch(r"query \{ viewer \{ login \} \}", query):
                self.faults.append(f"GraphQL: {method} {query}")
            return 200, json.dumps({"data": {"viewer": {"login": "octocat"}}}).encode()
        for name, good in (
            ("Accept", ACCEPTED.__contains__),
            ("Authorization", lambda value: value.startswith("Bearer ")),
            ("User-Agent", bool),
            ("X-GitHub-Api-Version", re.compile(r"20\d\d-\d\d-\d\d").fullmatch),
        ):
            if not good(headers.get(name, "")):
                self.faults.append(f"{method} {path}: {name} is {headers.get(name)}")
        if not path.startswith(f"{self.base}/repos/"):
            self.faults.append(f"{method} {path} is not below {self.base}/repos/")
            return 404, b"{}"
        path = path.removeprefix(self.base)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        passed = {name: value for name, value in headers.items() if name not in ("Host", "Content-Length")}
        connection.request(method, path, body or None, {**passed, "Accept": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        violations = answer.getheader("sl-violations") or ""
        # What Prism has against its own examples in answers is not about us.
        ours = [each for each in json.loads(violations or "[]") if "request" in each.get("location", [])]
        self.seen.append(Validated(method, path, answer.status, json.dumps(ours) if ours else ""))
        connection.close()
        return answer.status, data


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner = None

    def log_message(self, *_):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.title().replace("Github", "GitHub"): value for name, value in self.headers.items()}
        status, data = self.owner.relay(self.command, self.path, headers, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any
