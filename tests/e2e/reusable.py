"""The steps of the reusable workflows: the image itself with all its inputs, as `uses: docker://…` has it."""

import re
from pathlib import Path

from content import image, layer
from events import Events
from github import GitHub
from harness import check, check_equal
from proxy import counting
from workflow import LIST, TOKEN, Place, expect

FOLDER = Path(__file__).resolve().parents[2] / ".github/workflows"
CASES = 4
ACCESS = "ya29.e2e-0123456789abcdefghij"


def steps(file):
    """The `with` of each step that runs the image, evaluated with the defaults of the workflow's inputs."""
    text = (FOLDER / file).read_text()
    above = text[: text.index("\njobs:")]
    defaults = {
        match[1]: match[2].strip('"')
        for match in re.finditer(r"^      ([a-z-]+):\n(?:        .*\n)*?        default: (.*)$", above, re.MULTILINE)
    }
    values = {f"inputs.{name}": value for name, value in defaults.items()} | {
        "github.token": TOKEN, "steps.gcp.outputs.access_token": ACCESS, "matrix.shard": "1/2",
        # The plan by which shards are balanced, which is not given unless they are.
        "inputs.shards == 'auto' && 'image-syncer-plan/image-syncer-report.json' || ''": "",
    }  # fmt: skip
    found = []
    step = r"^        uses: docker://.*\n(?:        .*\n)*?        with:\n((?:          .*\n)+)"
    for match in re.finditer(step, text, re.MULTILINE):
        given = {}
        for line in match[1].splitlines():
            name, _, value = line.strip().partition(": ")
            expression = re.fullmatch(r"\$\{\{ (.*) \}\}", value)
            given[name] = values[expression[1]] if expression else value.strip('"')
        check_equal(given["args"], "action", f"the arguments in {file}")
        found.append(given)
    check(found, f"{file} does not run the image")
    return found


class Reusable(Events):
    """Each step with its own event."""

    def __init__(self, *arguments):
        Place.__init__(self, *arguments)
        self.roots = {f"team/{name}:1": image([layer(f"reusable {name}", 20_000)]) for name in ("app", "tool")}
        for name, root in self.roots.items():
            root.push(self.source.client, *name.split(":"))

    def run(self, book):
        with (
            counting(self.source) as self.from_, counting(self.target) as self.to,
            GitHub(self.webhooks.repository, TOKEN) as self.github,
        ):  # fmt: skip
            self.prefix = f"{self.to.host}/mirror/"
            book.case("plan.yml plans a pull request", self.plan)
            book.case("sync.yml syncs a push", self.sync)
            book.case("image-syncer.yml plans a pull request, for a prefix that stands in the list", self.kyma_plan)
            book.case("image-syncer.yml syncs a push, to a prefix that stands in the list", self.kyma_sync)

    def step(self, event, payload, given):
        self.to.forget()
        self.from_.forget()
        # Logins are in a folder that a step before makes, and that has none here.
        job = self.runner(self.github, [ACCESS])
        (job.temp / "image-syncer-docker").mkdir()
        job.check_out({LIST: self.list})
        return job.call(event, payload, given, {"DOCKER_CONFIG": str(job.temp / "image-syncer-docker")})

    def pull_request(self, given):
        base = self.github.commit({LIST: f"targetRepoPrefix: {self.prefix}\nimages: []\n"})
        self.github.head = self.github.commit({LIST: self.list})
        payload = self.webhooks.pull_request(base, self.github.head)
        step = expect(self.step("pull_request", payload, {**given, "allow-private-networks": "true"}), 0, "planned")
        check_equal(step.outputs["copied"], "1", "images to copy")
        check_equal(self.to.writes(), [], "write requests")

    def push(self, given, name):
        expect(self.step("push", self.webhooks.push(), given), 0, "synced", copied="1")
        self.read_back(name)

    def lists(self, name, prefix=""):
        return prefix + self.entries(self.from_, name)

    def plan(self):
        [given] = steps("plan.yml")
        self.list = self.lists("team/app:1")
        self.pull_request({**given, "target-repo-prefix": self.prefix})
        check_equal(len(self.github.comments), 1, "comments")

    def sync(self):
        # The others are those of several machines.
        given, *_ = steps("sync.yml")
        self.list = self.lists("team/app:1")
        self.push({**given, "target-repo-prefix": self.prefix}, "team/app:1")

    def kyma_plan(self):
        given, _ = steps("image-syncer.yml")
        self.list = self.lists("team/tool:1", f"targetRepoPrefix: {self.prefix}\n")
        self.pull_request(given)
        check_equal(len(self.github.comments), 1, "comments")

    def kyma_sync(self):
        _, given = steps("image-syncer.yml")
        self.push(given, "team/tool:1")
