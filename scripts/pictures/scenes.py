"""The runs that the pictures show: images at registries, lists, and what the action wrote about them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))

from client import Client  # noqa: E402
from content import (  # noqa: E402
    Blob,
    artifact,
    config,
    cosign_attestation,
    cosign_signature,
    image,
    layer,
    manifest,
    multi_arch,
)
from front import Front  # noqa: E402
from github import GitHub  # noqa: E402
from harness import free_port  # noqa: E402

REPOSITORY = "octo-org/mirror"
TOKEN = "a-token-of-nobody"
PULL_REQUEST = 7
LIST = "external-images.yaml"
POLICY = "image-syncer-policy.yaml"
TARGET = "registry.example.com"
PREFIX = "mirror/"
SOURCES = ("docker.io", "quay.io")
# The registry that has faults. It is reached through a proxy, so that its errors name it.
FAULTY = "ghcr.io"
MIB = 1024 * 1024

POLICY_TEXT = """\
allowedSources:
  - "docker.io/library/*"
  - "ghcr.io/example/**"
  - "quay.io/prometheus/*"
"""


class Memory:
    """A registry in memory, made by the program itself."""

    def __init__(self, program):
        for _ in range(3):
            # Between choosing a free port and listening on it somebody else may take it.
            self.host = f"127.0.0.1:{free_port()}"
            command = [program, "serve", "--memory", "--listen", self.host]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.client = Client(self.host)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    if self.client.request("GET", "/v2/").status == 200:
                        return
                except OSError:
                    time.sleep(0.05)
            self.close()
        raise SystemExit("github-pictures: the registry did not get ready")

    def close(self):
        self._process.kill()
        self._process.wait()


def simple(name, sizes, platforms=("linux/amd64", "linux/arm64")):
    """An image for these platforms, with layers of so many MiB."""
    by_platform = {
        platform: image(
            [layer(f"{name} {number} {platform}", int(size * MIB), "none") for number, size in enumerate(sizes)],
            platform,
        )
        for platform in platforms
    }
    return multi_arch(by_platform) if len(platforms) > 1 else by_platform[platforms[0]]


def signed(client, repository, root, attestations=2):
    """Puts a signature, attestations and an SBOM beside an image."""
    name = root.digest.replace(":", "-")
    cosign_signature(root, 1).push(client, repository, name + ".sig")
    if attestations:
        blobs = [cosign_attestation(root, number).blobs[1] for number in range(attestations)]
        manifest(config(blobs), blobs).push(client, repository, name + ".att")
        sbom = Blob(b'{"spdxVersion":"SPDX-2.3"}', "application/spdx+json")
        artifact("application/spdx+json", [sbom], root).push(client, repository)


class World:
    """Registries, GitHub, and the folders of a runner."""

    def __init__(self, program, folder):
        self._program = program
        self._folder = folder
        self.source = Memory(program)
        self.target = Memory(program)
        self.github = GitHub(REPOSITORY, TOKEN)
        self.front = Front(
            self.source.host,
            private=("example/private-app",),
            gone=("example/reports",),
            busy=("example/app",),
        )
        for name in ("workspace", "home", "temp", "files"):
            (folder / name).mkdir(parents=True)

    def close(self):
        self.source.close()
        self.target.close()

    def put(self, name, tag, root):
        """Puts an image to its source; `name` begins with the registry."""
        root.push(self.source.client, name.partition("/")[2], tag)
        return root

    def mirror(self, name, tag, root):
        """Puts an image to where the program puts it."""
        name = name.removeprefix("docker.io/")
        root.push(self.target.client, PREFIX + name, tag)

    def _run(self, event, payload, **inputs):
        defaults = {
            "mode": "auto",
            "comment": "on-change",
            "comment-key": "image-syncer",
            "allow-private-networks": "true",
            "github-token": TOKEN,
            "target-repo-prefix": f"{TARGET}/{PREFIX}",
            **inputs,
        }
        files = self._folder / "files"
        (files / "event.json").write_text(json.dumps(payload))
        summary = files / "summary"
        summary.unlink(missing_ok=True)
        endpoints = {name: self.source.host for name in SOURCES}
        endpoints[TARGET] = self.target.host
        environment = {
            **{f"INPUT_{name.upper()}": value for name, value in defaults.items()},
            "SYNCER_ENDPOINT": "\n".join(f"{name}=http://{host}" for name, host in endpoints.items()),
            "SYNCER_PLAIN_HTTP": FAULTY,
            "HTTP_PROXY": f"http://{self.front.host}",
            "NO_PROXY": "127.0.0.1",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(files / "event.json"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_GRAPHQL_URL": self.github.graphql_url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "42",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_SHA": "5e7c0a19d2b84f63a1c95d07e8f6b3429d10ca57",
            "GITHUB_WORKSPACE": str(self._folder / "workspace"),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(files / "output"),
            "RUNNER_TEMP": str(self._folder / "temp"),
            "HOME": str(self._folder / "home"),
            "PATH": os.environ["PATH"],
        }
        began = time.monotonic()
        done = subprocess.run(
            [self._program, "action"],
            cwd=self._folder / "workspace",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
        )
        self.took = time.monotonic() - began
        self.log = (done.stdout + done.stderr).decode("utf-8", "replace")
        self.code = done.returncode
        return summary.read_text() if summary.exists() else ""

    def pull_request(self, before, after, **inputs):
        """The comment on a pull request that makes the list `after` of the list `before`."""
        policy = {POLICY: POLICY_TEXT} if "policy-file" in inputs else {}
        base = self.github.commit({LIST: before, **policy})
        head = self.github.commit({LIST: after, **policy})
        self.github.head = head
        side = {"repo": {"full_name": REPOSITORY, "fork": False}}
        payload = {
            "action": "synchronize",
            "number": PULL_REQUEST,
            "pull_request": {
                "number": PULL_REQUEST,
                "head": {"ref": "new-images", "sha": head, **side},
                "base": {"ref": "main", "sha": base, **side},
            },
            "repository": {"full_name": REPOSITORY},
        }
        self._run("pull_request", payload, **inputs)
        return self.github.comments[0]["body"].replace("\r\n", "\n") if self.github.comments else ""

    def push(self, images, **inputs):
        """The summary of a sync of a list."""
        workspace = self._folder / "workspace"
        (workspace / LIST).write_text(images)
        (workspace / POLICY).write_text(POLICY_TEXT)
        return self._run("push", {}, **inputs)


def listed(*entries):
    """A list of images. An entry is a source, or a source with further keys."""
    lines = ["images:"]
    for entry in entries:
        source, more = entry if isinstance(entry, tuple) else (entry, {})
        lines.append(f"  - source: {json.dumps(source)}")
        lines += [f"    {key}: {json.dumps(value)}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


OLD = ["alpine:3.22", "redis:7.4.1", "quay.io/prometheus/alertmanager:v0.27.0"]


def furnish(world):
    """What the mirror has already, and what there is at the sources."""
    for name, tag, sizes in [
        ("docker.io/library/alpine", "3.22", [3.3]),
        ("docker.io/library/redis", "7.4.1", [2.1, 1.4]),
        ("quay.io/prometheus/alertmanager", "v0.27.0", [4.2]),
        ("docker.io/library/busybox", "1.36.1", [1.9]),
    ]:
        world.mirror(name, tag, world.put(name, tag, simple(name, sizes)))
    world.put("docker.io/library/postgres", "17.2", simple("postgres", [12.4, 6.2, 0.4]))
    app = world.put("ghcr.io/example/app", "2.4.1", simple("app", [7.6, 3.9]))
    signed(world.source.client, "example/app", app)
    every = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/s390x")
    world.put("quay.io/prometheus/node-exporter", "v1.8.2", simple("node-exporter", [2.3, 0.2], every))
    name = "ghcr.io/example/observability/log-collector"
    collector = world.put(name, "2026.11.0-debian-12-r3", simple("collector", [9.1], every))
    signed(world.source.client, "example/observability/log-collector", collector, 0)


ADDED = [
    "postgres:17.2",
    "ghcr.io/example/app:2.4.1",
    "quay.io/prometheus/node-exporter:v1.8.2",
    (
        "ghcr.io/example/observability/log-collector:2026.11.0-debian-12-r3",
        {"platforms": ["linux/amd64", "linux/arm64"], "target": "observability/log-collector"},
    ),
]


def adds(world):
    """New images, one with a name of its own; one goes off the list."""
    furnish(world)
    return world.pull_request(listed("busybox:1.36.1", *OLD), listed(*OLD, *ADDED))


def conflict(world):
    """A tag that has other content at the target than at its source now."""
    furnish(world)
    world.mirror("docker.io/library/nginx", "1.27.3", simple("nginx as it was", [6.8, 0.6]))
    world.put("docker.io/library/nginx", "1.27.3", simple("nginx rebuilt", [6.9, 0.6]))
    return world.pull_request(listed(*OLD), listed(*OLD, "nginx:1.27.3", "ghcr.io/example/app:2.4.1"))


def failures(world):
    """Sources that are not there, not readable, or not allowed."""
    furnish(world)
    world.put("ghcr.io/example/private-app", "1.0.0", simple("private", [1]))
    return world.pull_request(
        listed(*OLD),
        listed(
            *OLD,
            "redis:7.44",
            "ghcr.io/example/private-app:1.0.0",
            "quay.io/someone/tool:v2",
            "postgres:17.2",
        ),
        **{"policy-file": POLICY},
    )


def empty(world):
    """A pull request that listed an image, and does not any more."""
    furnish(world)
    world.pull_request(listed(*OLD), listed(*OLD, "postgres:17.2"))
    return world.pull_request(listed(*OLD), listed(*OLD))


def truncated(world):
    """More than a comment can hold."""
    furnish(world)
    names = ("agent", "api", "backup", "billing", "cache", "console", "gateway", "scheduler")
    tags = [f"2026.{month}.{day}" for month in range(1, 9) for day in range(1, 26)]
    for name in names:
        shared = layer(name, int(0.4 * MIB), "none")
        for tag in tags:
            image([shared], version=tag).push(world.source.client, f"example/{name}", tag)
    new = [f"example/{name}:{tag}" for name in names for tag in tags]
    return world.pull_request(listed(*OLD), listed(*OLD, *new))


def summary(world):
    """A sync with something of everything."""
    furnish(world)
    world.mirror("docker.io/library/nginx", "1.27.3", simple("nginx as it was", [6.8, 0.6]))
    world.put("docker.io/library/nginx", "1.27.3", simple("nginx rebuilt", [6.9, 0.6]))
    world.put("ghcr.io/example/reports", "1.9.0", simple("reports", [5.5]))
    # Its signature came later than the image.
    late = world.put("ghcr.io/example/api", "1.12.0", simple("api", [4.4]))
    world.mirror("ghcr.io/example/api", "1.12.0", late)
    signed(world.source.client, "example/api", late, 0)
    entries = [*OLD, *ADDED, "nginx:1.27.3", "ghcr.io/example/reports:1.9.0", "ghcr.io/example/api:1.12.0"]
    return world.push(listed(*entries), **{"policy-file": POLICY})
