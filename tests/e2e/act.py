"""The action under act, another program that runs workflows."""

import json
from pathlib import Path

from content import image, layer
from harness import check, check_equal
from proxy import counting
from workflow import IMAGE, LIST, TOKEN, Place

ROOT = Path(__file__).resolve().parents[2]


class Act(Place):
    """act, another program that runs workflows: on this machine itself, with the image in Docker's engine.

    Where it runs jobs without a container it gives a container action the paths of the machine, and a network of its
    own: its folder is mounted under its own name here, and the network is the machine's. It speaks of no API but
    github.com's, or that of a server with TLS; pull requests are tried with the runner above.
    """

    def run(self, book):
        self.root = image([layer("act", 30_000)])
        self.root.push(self.source.client, "team/app", "1")
        with counting(self.source) as self.from_, counting(self.target) as self.to:
            book.case("workflow_dispatch: a plan, and its outputs for the next step", self.dispatch)
            book.case("push: a sync", self.push)

    def dispatch(self):
        text = self.workflow("workflow_dispatch", self.webhooks.workflow_dispatch(), "plan")
        check("said planned 1" in text, text[-3000:])
        check_equal(self.to.writes(), [], "write requests")

    def push(self):
        text = self.workflow("push", self.webhooks.push(), "auto")
        check("said synced 1" in text, text[-3000:])
        repository, tag = self.at_target(self.from_, "team/app:1")
        check_equal(self.target.client.digest(repository, tag), self.root.digest, "the digest at the target")

    def workflow(self, event, payload, mode):
        """Runs a workflow of one job with the action of its own repository, and says what was printed."""
        folder, cache = self.workplace.fresh_folder("act"), self.workplace.fresh_folder("act-cache")
        (folder / ".github/workflows").mkdir(parents=True)
        action = (ROOT / "action.yml").read_text()
        # As in a released commit, where the image is named and not built.
        pinned = action.replace("  image: Dockerfile\n", f"  image: docker://{IMAGE}\n")
        check(pinned != action, "action.yml does not build from the Dockerfile")
        (folder / "action.yml").write_text(pinned)
        (folder / LIST).write_text(self.entries(self.from_, "team/app:1"))
        (folder / "event.json").write_text(json.dumps(payload))
        (folder / ".github/workflows/images.yml").write_text(f"""
on: [push, workflow_dispatch]
jobs:
  images:
    runs-on: ubuntu-latest
    steps:
      # act copies the folder instead of asking GitHub.
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1
      - id: images
        uses: ./
        with:
          mode: {mode}
          target-repo-prefix: {self.to.host}/mirror/
      - run: echo "said ${{{{ steps.images.outputs.result }}}} ${{{{ steps.images.outputs.copied }}}}"
""")
        git = ["git", "-c", "user.name=e2e", "-c", "user.email=e2e@example.com", "-C", folder]
        self.workplace.run([*git, "init", "--quiet", "--initial-branch=main"])
        self.workplace.run([*git, "remote", "add", "origin", f"https://github.com/{self.webhooks.repository}.git"])
        self.workplace.run([*git, "add", "."])
        self.workplace.run([*git, "commit", "--quiet", "--message", "First"])
        ended = self.workplace.run([
            "act", event, "--eventpath", folder / "event.json", "--platform", "ubuntu-latest=-self-hosted",
            "--pull=false", "--action-offline-mode", "--no-cache-server", "--secret", f"GITHUB_TOKEN={TOKEN}",
            "--container-options", f"--network host --volume {cache}:{cache}",
        ], directory=folder, timeout=120, expect=None, environment={
            **self.engine.environment(), "XDG_CACHE_HOME": str(cache),
        })  # fmt: skip
        text = ended.text + ended.errors.decode(errors="replace")
        check(ended.code == 0, f"act ended with {ended.code}:\n{text[-4000:]}")
        check(TOKEN not in text, "the token was told")
        return text
