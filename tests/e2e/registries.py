"""Registries on free loopback ports, each with its content in a folder of its own.

Three peers take part:

- Debian's docker-registry 2.8, which has no referrers API;
- zot 1.4, which has the API as a release candidate of OCI 1.1 had it: artifact types are those of the config,
  an index is nobody's referrer. It takes OCI media types only;
- olareg, which has the API and refuses a manifest whose blobs or children are missing.

Our own `serve` is the fourth.
"""

import base64
import json
import shutil
import time

from client import OCI_INDEX, OCI_MANIFEST, Client, connect
from harness import Failure, free_port

READY_WITHIN = 20


class Registry:
    """A running registry: `host` for references, `client` for requests of the tests themselves."""

    kind = ""
    # Whether its lists of referrers tell the artifact types that the manifests state.
    tells_artifact_types = True
    # What a request needs to be answered.
    authorization = None
    # For connections with TLS: whom the tests trust, and as whom they come.
    context = None

    def __init__(self, workplace, content=None):
        """`content` is the folder of another registry, to serve what that one holds a second time."""
        self._workplace = workplace
        self.folder = workplace.fresh_folder(self.kind)
        self.content = content or self.folder
        self.log = self.folder.with_suffix(".log")
        for attempt in range(3):
            # Between choosing a free port and listening on it somebody else may take it.
            self.host = f"127.0.0.1:{free_port()}"
            self.process = workplace.start(self._arguments(), self.log)
            try:
                self._wait_until_ready()
                break
            except Failure:
                workplace.stop(self.process)
                if attempt == 2:
                    raise
        self.client = Client(self.host, authorization=self.authorization, context=self.context)

    def _arguments(self):
        raise NotImplementedError

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = connect(self.host, 2, self.context)
            try:
                connection.request("GET", "/v2/")
                if connection.getresponse().status == (401 if self.authorization else 200):
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.05)
        log = self.log.read_text(errors="replace")[-2000:]
        raise Failure(f"{self.kind} at {self.host} did not get ready:\n{log}")

    @classmethod
    def refuses(cls, image):
        """Why this registry does not take an image of the corpus; None if it takes it."""
        return None

    def close(self):
        self.client.close()
        self._workplace.stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class DockerRegistry(Registry):
    """Debian's docker-registry, with deletes, and with layers that have `urls`, which it refuses by default."""

    kind = "docker-registry"

    def _arguments(self):
        settings = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.content)},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": self.host, "secret": "not a secret: it only signs upload states", **self._tls()},
            "validation": {"manifests": {"urls": {"allow": ["^https?://"]}}},
            **self._access(),
        }
        # JSON is YAML.
        configuration = self.folder.with_suffix(".yml")
        configuration.write_text(json.dumps(settings, indent=2))
        return ["docker-registry", "serve", configuration]

    def _access(self):
        return {}

    def _tls(self):
        return {}


class GuardedDockerRegistry(DockerRegistry):
    """The same behind a password, for reading too."""

    kind = "docker-registry-with-password"
    user = "robot"
    password = "e2e-password-0123456789"
    authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    # bcrypt of the password.
    hashed = "$2b$04$abcdefghijklmnopqrstuu37mO1OUI1Q2FEQ6um0cuR0O/bYmVtJ2"

    def _access(self):
        passwords = self.folder.with_suffix(".htpasswd")
        passwords.write_text(f"{self.user}:{self.hashed}\n")
        return {"auth": {"htpasswd": {"realm": "e2e", "path": str(passwords)}}}

    @classmethod
    def docker_config(cls, *hosts):
        """A docker configuration as `docker login` writes one."""
        login = {"auth": cls.authorization.removeprefix("Basic ")}
        return json.dumps({"auths": {host: login for host in hosts}})


class Zot(Registry):
    """zot without deduplication and garbage collection, which would remove what no tag names yet."""

    kind = "zot"
    tells_artifact_types = False

    def _arguments(self):
        address, port = self.host.split(":")
        settings = {
            "distSpecVersion": "1.1.0",
            "storage": {"rootDirectory": str(self.content), "gc": False, "dedupe": False},
            "http": {"address": address, "port": port, **self._access()},
            "log": {"level": "error"},
        }
        configuration = self.folder.with_suffix(".json")
        configuration.write_text(json.dumps(settings, indent=2))
        return ["zot", "serve", configuration]

    def _access(self):
        return {}

    @classmethod
    def refuses(cls, image):
        manifests = list(image.root.below())
        if any(each.media_type not in (OCI_INDEX, OCI_MANIFEST) for each in manifests):
            return "it takes OCI media types only"
        if any(not blob.held for each in manifests for blob in each.blobs):
            return "it wants non-distributable layers too"
        if any(tag is None and each.media_type == OCI_INDEX for tag, each in image.companions):
            return "it lists no index as a referrer"
        return None


class Olareg(Registry):
    """olareg with its strict defaults, plus deletes and without garbage collection."""

    kind = "olareg"

    def _arguments(self):
        address, port = self.host.split(":")
        return [
            "olareg", "serve", "--addr", address, "--port", port, "--dir", self.folder,
            "--api-delete", "--api-blob-delete", "--gc-frequency", "-1s",
        ]  # fmt: skip


class ServeMemory(Registry):
    """Our own `serve --memory`."""

    kind = "serve-memory"

    def _arguments(self):
        return [self._workplace.binary, "serve", "--memory", "--listen", self.host]


class ServeLayout(Registry):
    """Our own `serve --root DIR`."""

    kind = "serve-layout"

    def _arguments(self):
        return [self._workplace.binary, "serve", "--root", self.folder, "--listen", self.host]
