"""A small distribution client of the tests' own, independent of the program under test.

It pushes raw manifests and blobs, keeps the fallback index where a registry has no referrers API, and reads
an image with all that belongs to it back, checking every byte against its digest.
"""

import hashlib
import http.client
import json
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

from harness import Failure, check, check_equal

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
MANIFEST_TYPES = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
COMPANION_SUFFIXES = (".sig", ".att", ".sbom")


def digest_of(data):
    """The sha256 digest of `data`, as registries write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Answer:
    """A registry's answer, read whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Graph:
    """A manifest and everything below it: raw manifests, and the blobs with their sizes.

    `absent` holds layers with `urls` that the registry does not have; for them it is no error.
    """

    root: str
    manifests: dict = field(default_factory=dict)
    blobs: dict = field(default_factory=dict)
    absent: set = field(default_factory=set)


@dataclass
class Companions:
    """What belongs to a graph without being a part of it.

    `tags` is tag → digest of cosign's tags, `referrers` is subject → set of referrer digests (recursive),
    `graphs` is digest → Graph of each of them.
    """

    tags: dict = field(default_factory=dict)
    referrers: dict = field(default_factory=dict)
    graphs: dict = field(default_factory=dict)


def connect(host, timeout, context=None):
    """A connection to a registry: with TLS where there is a context for it."""
    if context:
        return http.client.HTTPSConnection(host, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, timeout=timeout)


class Client:
    """Requests to one registry; usable from several threads."""

    def __init__(self, host, timeout=120, authorization=None, context=None):
        self.host = host
        self._context = context
        self._always = {"Authorization": authorization} if authorization else {}
        self._timeout = timeout
        self._local = threading.local()

    def close(self):
        connection = getattr(self._local, "connection", None)
        if connection:
            connection.close()
            self._local.connection = None

    def request(self, method, path, body=None, headers=None):
        """Sends one request; a connection that the registry closed while it was idle is opened again."""
        for attempt in (0, 1):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = connect(self.host, self._timeout, self._context)
                self._local.connection = connection
            try:
                connection.request(method, path, body=body, headers={**self._always, **(headers or {})})
                answer = connection.getresponse()
                return Answer(answer.status, answer.headers, answer.read())
            except (http.client.HTTPException, OSError):
                self.close()
                if attempt == 1 or not isinstance(body, (bytes, type(None))):
                    raise
        raise AssertionError("unreachable")

    # Writing.

    def push_blob(self, repository, data):
        """Pushes a blob unless the repository has it; returns its digest."""
        digest = digest_of(data)
        if not self.has_blob(repository, digest):
            self.upload_blob(repository, digest, data, len(data))
        return digest

    def upload_blob(self, repository, digest, body, size):
        """Uploads a blob in one piece; `body` may be bytes, a file or an iterable of bytes."""
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
        check_equal(answer.status, 202, f"start of an upload to {self.host}/{repository}")
        location = urljoin(f"http://{self.host}/", answer.headers["Location"])
        parts = urlsplit(location)
        query = (parts.query + "&" if parts.query else "") + "digest=" + quote(digest, safe="")
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        answer = self.request("PUT", f"{parts.path}?{query}", body, headers)
        check_equal(answer.status, 201, f"upload of {digest} to {self.host}/{repository} {answer.body[:300]}")

    def push_manifest(self, repository, reference, data, media_type):
        """Pushes a manifest; where the registry has no referrers API, adds it to the fallback index."""
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
        answer = self.request("PUT", f"/v2/{repository}/manifests/{reference}", data, headers)
        if answer.status != 201:
            raise Failure(
                f"push of {self.host}/{repository}:{reference}: status {answer.status} {answer.body[:500]}"
            )
        subject = json.loads(data).get("subject")
        if subject and not answer.headers.get("OCI-Subject") and not self._has_api(repository, subject["digest"]):
            self._add_to_fallback_index(repository, subject["digest"], data, media_type)
        return digest_of(data)

    def _has_api(self, repository, subject):
        """Whether there is a referrers API; the repository must exist."""
        return self.request("GET", f"/v2/{repository}/referrers/{subject}").status == 200

    def _add_to_fallback_index(self, repository, subject, data, media_type):
        manifest = json.loads(data)
        descriptor = {
            "mediaType": media_type,
            "digest": digest_of(data),
            "size": len(data),
            "artifactType": manifest.get("artifactType") or manifest.get("config", {}).get("mediaType", ""),
        }
        if manifest.get("annotations"):
            descriptor["annotations"] = manifest["annotations"]
        descriptors = self._fallback_referrers(repository, subject)
        if all(other["digest"] != descriptor["digest"] for other in descriptors):
            descriptors.append(descriptor)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
        self.push_manifest(repository, subject.replace(":", "-"), json.dumps(index).encode(), OCI_INDEX)

    # Reading.

    def has_blob(self, repository, digest):
        return self.request("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200

    def manifest(self, repository, reference):
        """The media type and the raw bytes of a manifest, or None where it is absent."""
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        answer = self.request("GET", f"/v2/{repository}/manifests/{reference}", headers=headers)
        if answer.status == 404:
            return None
        check_equal(answer.status, 200, f"GET of {self.host}/{repository} {reference}")
        if reference.startswith("sha256:"):
            check_equal(digest_of(answer.body), reference, f"manifest bytes at {self.host}/{repository}")
        return answer.headers["Content-Type"].split(";")[0].strip(), answer.body

    def digest(self, repository, tag):
        """The digest a tag points at, or None where the tag is absent."""
        found = self.manifest(repository, tag)
        return None if found is None else digest_of(found[1])

    def tags(self, repository):
        """All tags of a repository, page by page; an absent repository has none."""
        return self._paged(f"/v2/{repository}/tags/list?n=1000", "tags")

    def catalog(self):
        """All repositories of the registry."""
        return self._paged("/v2/_catalog?n=1000", "repositories")

    def _paged(self, path, key):
        found = []
        while path:
            answer = self.request("GET", path)
            if answer.status == 404:
                return found
            check_equal(answer.status, 200, f"GET http://{self.host}{path}")
            found += json.loads(answer.body).get(key) or []
            link = re.match(r'\s*<([^>]+)>.*rel="?next', answer.headers.get("Link") or "")
            path = urljoin(path, link.group(1)) if link else None
        return found

    def referrers(self, repository, subject):
        """The descriptors of the manifests whose subject is `subject`: by the API, or by the fallback tag."""
        path = f"/v2/{repository}/referrers/{subject}"
        found = []
        while path:
            answer = self.request("GET", path)
            if answer.status == 404:
                return self._fallback_referrers(repository, subject)
            check_equal(answer.status, 200, f"GET http://{self.host}{path}")
            found += json.loads(answer.body).get("manifests") or []
            link = re.match(r'\s*<([^>]+)>.*rel="?next', answer.headers.get("Link") or "")
            path = urljoin(path, link.group(1)) if link else None
        return found

    def _fallback_referrers(self, repository, subject):
        found = self.manifest(repository, subject.replace(":", "-"))
        return [] if found is None else json.loads(found[1]).get("manifests") or []

    def graph(self, repository, reference, known_blobs=None):
        """Reads a manifest and everything below it; anything missing or with wrong bytes is a Failure.

        `known_blobs` is a set of digests that were read from this repository before: those are only asked
        for with HEAD.
        """
        root = self.manifest(repository, reference)
        check(root is not None, f"{self.host}/{repository} {reference} is absent")
        graph = Graph(digest_of(root[1]))
        pending = [(graph.root, root)]
        while pending:
            digest, (media_type, data) = pending.pop()
            if digest in graph.manifests:
                continue
            graph.manifests[digest] = (media_type, data)
            parsed = json.loads(data)
            for child in parsed.get("manifests") or []:
                found = self.manifest(repository, child["digest"])
                check(found is not None, f"{self.host}/{repository}: child {child['digest']} is absent")
                pending.append((child["digest"], found))
            config = [parsed["config"]] if "config" in parsed else []
            for descriptor in config + (parsed.get("layers") or []):
                self._read_blob(repository, descriptor, graph, known_blobs)
        return graph

    def _read_blob(self, repository, descriptor, graph, known_blobs):
        digest = descriptor["digest"]
        if digest in graph.blobs or digest in graph.absent:
            return
        method = "HEAD" if known_blobs is not None and digest in known_blobs else "GET"
        answer = self.request(method, f"/v2/{repository}/blobs/{digest}")
        if answer.status == 404 and descriptor.get("urls"):
            graph.absent.add(digest)
            return
        check_equal(answer.status, 200, f"{method} of blob {digest} at {self.host}/{repository}")
        if method == "GET":
            check_equal(digest_of(answer.body), digest, f"blob bytes at {self.host}/{repository}")
            check_equal(len(answer.body), descriptor["size"], f"size of {digest} at {self.host}/{repository}")
        if known_blobs is not None:
            known_blobs.add(digest)
        graph.blobs[digest] = descriptor["size"]

    def companions(self, repository, graph, known_blobs=None):
        """Everything that belongs to the manifests of `graph`: cosign's tags, and referrers of referrers."""
        found = Companions()
        tags = set(self.tags(repository))
        for digest in graph.manifests:
            for suffix in COMPANION_SUFFIXES:
                tag = digest.replace(":", "-") + suffix
                if tag in tags:
                    below = self.graph(repository, tag, known_blobs)
                    found.tags[tag] = below.root
                    found.graphs[below.root] = below
        pending = list(graph.manifests)
        asked = set()
        while pending:
            subject = pending.pop()
            if subject in asked:
                continue
            asked.add(subject)
            descriptors = self.referrers(repository, subject)
            if not descriptors:
                continue
            found.referrers[subject] = {descriptor["digest"] for descriptor in descriptors}
            for digest in found.referrers[subject]:
                below = self.graph(repository, digest, known_blobs)
                found.graphs[digest] = below
                pending += list(below.manifests)
        return found
