"""A stand-in of GitHub's API on a free loopback port, for one repository.

It keeps what it is told (commits, comments, check runs), refuses what GitHub refuses, and notes what it was
asked. Whether the requests are those of GitHub's own description is checked in prism.py, not here.
"""

import hashlib
import json
import re
import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LONGEST_COMMENT = 65_536
LONGEST_FIELD = 65_535
MOST_ANNOTATIONS = 50


@dataclass(frozen=True)
class Asked:
    """A request as it came, its path below the API's base."""

    method: str
    path: str
    status: int


class Refusal(Exception):
    """An answer with an error's status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class GitHub:
    """The API of one repository. `may_write` is what the token of the run is granted.

    With `base` it is a GitHub Enterprise Server, with `tls` (files of a certificate and its key) one behind TLS.
    """

    def __init__(self, repository, token, base="", tls=None):
        self.repository = repository
        self.token = token
        self.base = base
        self.viewer = "github-actions[bot]"
        self.may_write = True
        self.head = None
        self.departed = {}
        self.merged = {}
        self.comments = []
        self.check_runs = []
        self.requests = []
        self._objects = {}
        self._blobs = {}
        self._next = 1000
        self._lock = threading.Lock()
        stand_in = self

        class Handler(_Handler):
            owner = stand_in

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        self.api_url = self.origin + base
        self.graphql_url = self.origin + ("/api/graphql" if base else "/graphql")
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def commit(self, files):
        """Keeps a commit with these files (path → text), and says its ID."""
        with self._lock:
            return self._keep("commit", {"tree": {"sha": self._tree(files)}})

    def comment_by(self, login, kind, body):
        """Keeps a comment that somebody wrote, and says its number."""
        with self._lock:
            self._next += 1
            user = {"login": login, "type": kind}
            self.comments.append({
                "id": self._next, "user": user, "body": body,
                "html_url": f"{self.origin}/{self.repository}/pull/1#issuecomment-{self._next}",
            })  # fmt: skip
            return self._next

    def merge(self, commit, number, head):
        """Has a commit of the main branch come with a pull request."""
        with self._lock:
            self.merged[commit] = {
                "number": number, "state": "closed", "merged_at": "2026-01-02T03:04:05Z",
                "html_url": f"{self.origin}/{self.repository}/pull/{number}",
                "head": {"ref": "changes", "sha": head}, "base": {"ref": "main", "sha": "0" * 40},
            }  # fmt: skip

    def forget(self):
        """Begins a new list of requests."""
        with self._lock:
            self.requests = []

    def writes(self):
        """The requests so far that could have changed something, as `METHOD PATH`; GraphQL is only asked."""
        with self._lock:
            return [
                f"{asked.method} {asked.path}" for asked in self.requests
                if asked.method != "GET" and not asked.path.endswith("graphql")
            ]  # fmt: skip

    def _tree(self, files):
        entries, folders = {}, {}
        for path, text in files.items():
            folder, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(folder, {})[rest] = text
                continue
            data = text.encode()
            sha = _object_id("blob", data)
            self._blobs[sha] = data
            entries[path] = {"path": path, "mode": "100644", "type": "blob", "sha": sha, "size": len(data)}
        for folder, below in folders.items():
            entries[folder] = {"path": folder, "mode": "040000", "type": "tree", "sha": self._tree(below)}
        return self._keep("tree", {"tree": [entries[name] for name in sorted(entries)], "truncated": False})

    def _keep(self, kind, value):
        sha = _object_id(kind, json.dumps(value).encode())
        self._objects[sha] = {"sha": sha, **value}
        return sha

    # Answering.

    def answer(self, method, path, headers, body):
        """Status, headers and body of the answer to a request."""
        with self._lock:
            below = path.removeprefix(self.base)
            try:
                status, more, data = self._route(method, path, below, headers, body)
            except Refusal as refusal:
                status, more = refusal.status, {}
                data = {"message": str(refusal), "documentation_url": "https://docs.github.com/rest"}
            self.requests.append(Asked(method, below, status))
            return status, more, data if isinstance(data, bytes) else json.dumps(data).encode()

    def _route(self, method, path, below, headers, body):
        _require(headers.get("User-Agent"), 403, "Request forbidden by administrative rules.")
        _require(headers.get("Authorization") == f"Bearer {self.token}", 401, "Bad credentials")
        if method == "POST" and self.origin + path == self.graphql_url:
            _require("viewer" in body["query"], 422, "no such query")
            return 200, {}, {"data": {"viewer": {"login": self.viewer}}}
        _require(path.startswith(self.base), 404, "Not Found")
        place = urlsplit(below)
        route = place.path.removeprefix(f"/repos/{self.repository}/")
        _require(route != place.path, 404, "Not Found")
        if method != "GET":
            _require(self.may_write, 403, "Resource not accessible by integration")
        if match := re.fullmatch(r"git/(?:commits|trees)/([0-9a-f]{40})", route):
            return 200, {}, _found(self._objects, match[1])
        if match := re.fullmatch(r"git/blobs/([0-9a-f]{40})", route):
            _require(headers.get("Accept") == "application/vnd.github.raw+json", 406, "the test wants the raw type")
            return 200, {}, _found(self._blobs, match[1])
        if match := re.fullmatch(r"compare/([0-9a-f]{40})\.\.\.([0-9a-f]{40})", route):
            for commit in match.groups():
                _found(self._objects, commit)
            return 200, {}, {"merge_base_commit": {"sha": self.departed.get(match[2], match[1])}, "files": []}
        if match := re.fullmatch(r"commits/([0-9a-f]{40})/pulls", route):
            return 200, {}, [self.merged[match[1]]] if match[1] in self.merged else []
        if route == "commits":
            _require({"sha", "path"} <= set(parse_qs(place.query)), 422, "the test wants a file's commits")
            return 200, {}, [{"sha": commit} for commit in reversed(self.merged)]
        if re.fullmatch(r"pulls/[1-9][0-9]*", route):
            return 200, {}, {"number": int(route.split("/")[1]), "head": {"sha": self.head}, "state": "open"}
        if re.fullmatch(r"issues/[1-9][0-9]*/comments", route):
            return self._comments(method, place, body)
        if method == "PATCH" and (match := re.fullmatch(r"issues/comments/([0-9]+)", route)):
            found = [comment for comment in self.comments if comment["id"] == int(match[1])]
            _require(found, 404, "Not Found")
            found[0]["body"] = _valid_comment(body)
            return 200, {}, found[0]
        if route == "check-runs" and method == "POST":
            return self._new_check_run(body)
        if method == "PATCH" and (match := re.fullmatch(r"check-runs/([0-9]+)", route)):
            found = [run for run in self.check_runs if run["id"] == int(match[1])]
            _require(found, 404, "Not Found")
            _valid_output(body["output"])
            found[0]["output"]["annotations"] += body["output"]["annotations"]
            return 200, {}, found[0]
        raise Refusal(404, "Not Found")

    def _comments(self, method, place, body):
        if method == "POST":
            self._next += 1
            comment = {
                "id": self._next, "user": {"login": self.viewer, "type": "Bot"}, "body": _valid_comment(body),
                "html_url": f"{self.origin}/{self.repository}/pull/1#issuecomment-{self._next}",
            }  # fmt: skip
            self.comments.append(comment)
            return 201, {}, comment
        query = parse_qs(place.query)
        size, page = (int(query.get(name, [usual])[0]) for name, usual in (("per_page", 30), ("page", 1)))
        shown = self.comments[(page - 1) * size : page * size]
        headers = {}
        if len(self.comments) > page * size:
            list_url = f"{self.api_url}{place.path}?per_page={size}"
            headers["Link"] = f'<{list_url}&page={page + 1}>; rel="next"'
        return 200, headers, shown

    def _new_check_run(self, body):
        _require(isinstance(body.get("name"), str) and body["name"], 422, "name")
        _require(re.fullmatch("[0-9a-f]{40}", body.get("head_sha", "")), 422, "head_sha")
        _require(body.get("status") == "completed", 422, "status")
        _valid_output(body["output"])
        self._next += 1
        run = {**body, "id": self._next, "html_url": f"{self.origin}/{self.repository}/runs/{self._next}"}
        self.check_runs.append(run)
        return 201, {}, run


def _object_id(kind, data):
    """As Git's: 40 digits, and its own for each content."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def _require(condition, status, message):
    if not condition:
        raise Refusal(status, message)


def _found(objects, name):
    _require(name in objects, 404, "Not Found")
    return objects[name]


def _valid_comment(body):
    text = body.get("body") or ""
    _require(text, 422, "Body can't be blank")
    _require(len(text) <= LONGEST_COMMENT, 422, "Body is too long (maximum is 65536 characters)")
    # GitHub keeps lines as browsers send them.
    return text.replace("\n", "\r\n")


def _valid_output(output):
    for name in ("title", "summary"):
        _require(isinstance(output.get(name), str) and len(output[name]) <= LONGEST_FIELD, 422, name)
    annotations = output.get("annotations", [])
    _require(len(annotations) <= MOST_ANNOTATIONS, 422, "annotations")
    for annotation in annotations:
        _require(annotation["annotation_level"] in ("notice", "warning", "failure"), 422, "annotation_level")
        _require(0 < annotation["start_line"] <= annotation["end_line"], 422, "lines")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away, or does not trust the certificate, is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner = None

    def log_message(self, *_):
        pass

    def handle_any(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, answer = self.owner.answer(
            self.command, self.path, self.headers, json.loads(data) if data else None
        )
        self.send_response(status)
        raw = self.headers.get("Accept") == "application/vnd.github.raw+json" and status == 200
        self.send_header("Content-Type", "application/octet-stream" if raw else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(answer)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any
