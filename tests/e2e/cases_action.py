"""The action as its users run it: the built image under Docker's engine, as GitHub's runner starts it.

Payloads are GitHub's own, registries are real ones, and GitHub's API is a stand-in that keeps state. What is asked
of the API is held against GitHub's description of it apart from that.
"""

import gzip
import json
import os
import re
from pathlib import Path

import events
import reusable
import trusted
from act import Act
from cancelling import Cancelling
from content import image, layer
from engine import Engine
from harness import check, check_equal
from prism import Prism
from registries import DockerRegistry, GuardedDockerRegistry, Zot
from syncer import Syncer
from webhooks import Webhooks
from workflow import IMAGE, TOKEN

ROOT = Path(__file__).resolve().parents[2]
LARGEST_IMAGE = 30_000_000
PAIRS = ((DockerRegistry, Zot), (Zot, DockerRegistry))
# Description, base path of the API, path of GraphQL.
DESCRIPTIONS = (
    ("api.github.com.json", "", "/graphql"),
    ("ghes-3.19.json", "/api/v3", "/api/graphql"),
)
CASES = 4 + events.CASES * len(PAIRS) + 1 + trusted.CASES + reusable.CASES + 2 + 2 + 2 * len(DESCRIPTIONS)


def run(book, workplace):
    book.group("the action's image")
    prisms = [Prism(workplace, *description) for description in DESCRIPTIONS]
    engine = Engine(workplace)
    built = Built(workplace, engine)
    book.case("scripts/image builds it from this tree", built.build)
    book.case("it is small", built.size)
    book.case("its labels and its entry point are said", built.configuration)
    book.case("docker run IMAGE with the program's own options syncs", built.plain_run)
    webhooks = Webhooks(workplace)
    for source, target in PAIRS:
        with source(workplace) as first, target(workplace) as second:
            book.group(f"the action from {source.kind} to {target.kind}")
            events.Events(workplace, engine, webhooks, first, second).run(book)
    payloads = events.Payloads(workplace, engine, webhooks, None, None)
    book.group("GitHub's examples of payloads")
    book.case("each action of a pull request is understood", payloads.actions)
    with GuardedDockerRegistry(workplace) as first, GuardedDockerRegistry(workplace) as second:
        book.group("the action with passwords")
        trusted.Guarded(workplace, engine, webhooks, first, second).run(book)
    with DockerRegistry(workplace) as first, Zot(workplace) as second:
        book.group("the action on a server with a certificate of its own")
        trusted.Enterprise(workplace, engine, webhooks, first, second).run(book)
    with DockerRegistry(workplace) as first, Zot(workplace) as second:
        book.group("the steps of the reusable workflows")
        reusable.Reusable(workplace, engine, webhooks, first, second).run(book)
    with DockerRegistry(workplace) as first, DockerRegistry(workplace) as second:
        book.group("the action is cancelled")
        cancelling = Cancelling(workplace, engine, webhooks, first, second)
        book.case("SIGINT to the container's first process ends it with a partial summary", cancelling.kill)
        book.case("SIGINT to the client, as the runner sends it, does the same", cancelling.cancel)
    with DockerRegistry(workplace) as first, DockerRegistry(workplace) as second:
        book.group("the action under act")
        Act(workplace, engine, webhooks, first, second).run(book)
    for prism in prisms:
        with prism:
            book.group(f"GitHub's description {prism.description}")
            described = Described(workplace, prism)
            book.case("a request that is wrong is found out", described.control)
            book.case("each of our requests is valid", described.requests)


class Built:
    """The image, as scripts/image makes it."""

    def __init__(self, workplace, engine):
        self.workplace = workplace
        self.engine = engine

    def build(self):
        environment = {**os.environ, **self.engine.environment()}
        self.workplace.run([ROOT / "scripts/image", "--tag", IMAGE], timeout=900, environment=environment)
        return self.engine.docker("images", "--format", "{{.Size}}", IMAGE).text.strip()

    def size(self):
        saved = self.engine.docker("save", IMAGE).output
        compressed = len(gzip.compress(saved, 6))
        check(compressed < LARGEST_IMAGE, f"the image has {compressed} bytes compressed")
        return f"{compressed / 1e6:.1f} MB compressed"

    def configuration(self):
        found = json.loads(self.engine.docker("image", "inspect", IMAGE).text)[0]["Config"]
        check_equal(found["Entrypoint"], ["/image-syncer"], "the entry point")
        check(not found["Cmd"] and not found["User"], f"Cmd {found['Cmd']}, User {found['User']}")
        labels = {name.removeprefix("org.opencontainers.image."): value for name, value in found["Labels"].items()}
        git = ["git", "-C", ROOT, "rev-parse", "HEAD"]
        revision = self.workplace.run(git, environment=dict(os.environ)).text.strip()
        check_equal(labels["revision"], revision, "the revision")
        check_equal(labels["licenses"], "Apache-2.0", "the licence")
        check(labels["source"].startswith("https://github.com/"), f"the source is {labels['source']}")
        version = self.engine.docker("run", "--rm", "--network", "none", IMAGE, "--version").text.split()[1]
        check_equal(labels["version"], version, "the version in the label and the program's own")

    def plain_run(self):
        with DockerRegistry(self.workplace) as source, Zot(self.workplace) as target:
            root = image([layer("plain", 20_000)])
            root.push(source.client, "team/app", "1")
            [file] = Syncer(self.workplace).write_lists([f'  - source: "{source.host}/team/app:1"\n'])
            self.engine.docker(
                "run", "--rm", "--network", "host", "--user", "65532:65532", "-v", f"{file}:/list.yaml:ro", IMAGE,
                "--images-file=/list.yaml", f"--target-repo-prefix={target.host}/mirror/",
            )  # fmt: skip
            at_target = f"mirror/{source.host.replace(':', '_')}/team/app"
            check_equal(target.client.digest(at_target, "1"), root.digest, "the digest at the target")


class Described:
    """The calls of examples/github-api.rs, each against GitHub's description."""

    COMMIT = "7638417db6d59f3c431d3e1f261cc637155684cd"
    REQUESTS = (
        "GET git/commits/*", "GET git/trees/*", "GET git/blobs/*", "GET pulls/*",
        "GET commits/*/pulls?per_page=10", "GET commits?sha=*&path=external-images.yaml&per_page=10",
        "GET issues/*/comments?per_page=100", "POST issues/*/comments", "PATCH issues/comments/*",
        "POST check-runs", "PATCH check-runs/*",
    )  # fmt: skip

    def __init__(self, workplace, prism):
        self.workplace = workplace
        self.prism = prism

    def control(self):
        """The description is live: what is wrong is seen, and what is right is not."""
        self.prism.wait_until_ready()
        home = "/repos/octo-org/mirror"
        for method, path, body in (
            ("POST", f"{home}/check-runs", {"head_sha": self.COMMIT}),
            ("POST", f"{home}/check-runs", {"name": "x", "head_sha": self.COMMIT, "output": {"title": "x"}}),
            ("POST", f"{home}/issues/1/comments", {"text": "x"}),
            ("PATCH", f"{home}/issues/comments/one", {"body": "x"}),
            ("GET", f"{home}/issues/1/comments?per_page=many", None),
        ):
            found = self.prism.ask(method, path, body)
            check(found.status == 422 or found.violations, f"{method} {path} {body} was let through: {found}")
        check_equal(self.prism.ask("GET", f"{home}/issues/1/remarks").status, 404, "an unknown path's status")
        found = self.prism.ask("POST", f"{home}/issues/1/comments", {"body": "x"})
        check_equal((found.status, found.violations), (201, ""), "a good request")

    def requests(self):
        api, graphql = (f"http://{self.prism.host}{path}" for path in (self.prism.base, self.prism.graphql))
        said = self.workplace.run(
            [self.workplace.github_api, api or "/", graphql, "octo-org/mirror", self.COMMIT, "file.rb"],
            environment={"GITHUB_TOKEN": TOKEN}, expect=None, timeout=120,
        )  # fmt: skip
        text = said.text + said.errors.decode(errors="replace")
        # The example of a file is not as long as the example of its directory says.
        failed = [line for line in said.text.splitlines() if not line.startswith("ok ")]
        check(len(failed) == 1 and failed[0].startswith("FAILED file_at: "), text)
        check_equal(self.prism.faults, [], "faults beside the description")
        wrong = [found for found in self.prism.seen if found.violations or not 200 <= found.status < 300]
        check_equal(wrong, [], "requests that GitHub's description does not know")
        found = [f"{found.method} {found.path.split('/octo-org/mirror/')[1]}" for found in self.prism.seen]
        found = [re.sub(r"([/=])([0-9a-f]{40}|(?<=/)\d+)\b", r"\1*", each) for each in found]
        check_equal(sorted(found), sorted(self.REQUESTS), "the requests that were seen")
        return f"{len(found)} requests"
