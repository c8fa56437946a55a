"""What the action does in each event, between two registries that anybody may read and write."""

import json

from content import artifact, cosign_signature, image, layer, multi_arch
from github import GitHub
from harness import check, check_equal
from proxy import counting
from runner import SHA
from workflow import LIST, TOKEN, Place, expect

MARKER = "<!-- image-syncer:image-syncer -->"
CASES = 12


class Events(Place):
    """The cases build on each other, in the order of `run`."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        layers = [layer("action base", 300_000)]
        two = ("linux/amd64", "linux/arm64")
        self.roots = {
            "team/base:1": image(layers),
            "team/app:1.2": multi_arch({text: image([*layers, layer(f"app {text}", 50_000)], text) for text in two}),
            "team/tool:3": image([*layers, layer("tool", 20_000)]),
        }
        for name, root in self.roots.items():
            root.push(self.source.client, *name.split(":"))
        signed = self.roots["team/app:1.2"]
        cosign_signature(signed, "1").push(self.source.client, "team/app", signed.digest.replace(":", "-") + ".sig")
        artifact("application/spdx+json", subject=signed).push(self.source.client, "team/app")

    def run(self, book):
        with (
            counting(self.source) as self.from_, counting(self.target) as self.to,
            GitHub(self.webhooks.repository, TOKEN) as self.github,
        ):  # fmt: skip
            self.job = self.runner(self.github)
            self.inputs = {"target-repo-prefix": f"{self.to.host}/mirror/"}
            book.case("push: syncs, and says so everywhere", self.push)
            book.case("schedule: nothing is left to do, and nothing is written", self.schedule)
            book.case("workflow_dispatch: a dry run plans, a run syncs", self.dispatch)
            book.case("workflow_dispatch: a tag with other content is a conflict", self.conflict)
            book.case("pull_request: plans, comments, and makes a check run", self.pull_request)
            book.case("pull_request: the comment is edited in place, and not without need", self.comment)
            book.case("pull_request: without leave a private source is not asked", self.private)
            book.case("pull_request of a fork: plans without a comment, with all in the summary", self.fork)
            book.case("pull_request_target of a fork: plans, comments, and obeys nobody", self.fork_target)
            book.case("merge_group: plans without a comment", self.merge_group)
            book.case("push: what was merged is compared with its review", self.reviewed)
            book.case("an event that nobody thought of is an error", self.other_event)

    def step(self, event, payload, **inputs):
        self.to.forget()
        self.from_.forget()
        self.github.forget()
        inputs = {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.job.run(event, payload, {**self.inputs, **inputs})

    def review(self, event, payload, **inputs):
        """A step of a change under review: whatever the inputs say, nothing is written to any registry."""
        before = self.everything()
        inputs = {"allow_private_networks": "true", "mode": "sync", **inputs}
        step = self.step(event, payload, **inputs)
        check_equal(self.to.writes() + self.from_.writes(), [], f"write requests in {event}")
        check_equal(self.everything(), before, "the target's content")
        return step

    def lists(self, *names):
        return self.entries(self.from_, *names)

    def commit(self, *names, note=""):
        return self.github.commit({LIST: note + self.lists(*names), "README.md": "# Hello\n"})

    def opened(self, base, head, **options):
        self.github.head = head
        return self.webhooks.pull_request(base, head, **options)

    def read_back(self, *names):
        """crane and skopeo find at the target what the source has."""
        for name in names:
            repository, tag = self.at_target(self.from_, name)
            reference = f"{self.target.host}/{repository}:{tag}"
            check_equal(
                self.workplace.run(["crane", "digest", reference]).text.strip(), self.roots[name].digest, reference
            )
            self.workplace.run(["crane", "validate", "--remote", reference])
            raw = self.workplace.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}"])
            check_equal(raw.output, self.roots[name].data, f"skopeo inspect --raw {reference}")
            digest = self.source.client.digest(name.split(":")[0], tag)
            graph = self.target.client.graph(repository, tag)
            check_equal(graph, self.source.client.graph(name.split(":")[0], tag), f"the graph of {digest}")

    def push(self):
        names = ("team/base:1", "team/app:1.2")
        self.job.check_out({LIST: self.lists(*names)})
        step = expect(
            self.step("push", self.webhooks.push()), 0, "synced",
            **{"copied": "2", "up-to-date": "0", "conflicts": "0", "failed": "0", "comment-url": ""},
        )  # fmt: skip
        # `shards` is there only if it was asked for.
        check_equal(set(step.outputs), set(self.job.manifest.outputs) - {"shards"}, "the outputs and those of action.yml")
        check(len(self.to.writes()) > 5 and not self.from_.writes(), "the proxies did not see what was written where")
        self.read_back(*names)
        repository, _ = self.at_target(self.from_, "team/app:1.2")
        graph = self.target.client.graph(repository, "1.2")
        companions = self.target.client.companions(repository, graph)
        check_equal(len(companions.tags), 1, "signatures at the target")
        check_equal(len(companions.referrers), 1, "referrers at the target")
        images = {found["source"]: found for found in json.loads(step.outputs["images"])}
        found = images[f"{self.from_.host}/team/app:1.2"]
        check_equal(found["outcome"], "copied", "the outcome")
        check_equal(found["target"], f"{self.to.host}/{repository}:1.2@{graph.root}", "the target in the outputs")
        check(step.summary.startswith("## ✅ Sync: 2 copied"), step.summary)
        report = json.loads((self.job.workspace / step.outputs["report-file"]).read_text())
        check_equal(report["plan_digest"], f"sha256:{step.outputs['plan-digest']}", "the plan's digest")
        # What was pushed may have been reviewed.
        asked = [request.path for request in self.github.requests]
        check(asked and all("/commits" in path for path in asked), f"requests to GitHub: {asked}")
        check({"add-mask", "group", "endgroup"} <= step.names(), f"commands: {step.names()}")
        check(int(step.outputs["bytes"]) > 300_000, f"bytes: {step.outputs['bytes']}")
        return f"{step.seconds:.1f} s"

    def schedule(self):
        step = expect(
            self.step("schedule", self.webhooks.schedule()), 0, "noop", **{"copied": "0", "up-to-date": "2"}
        )  # fmt: skip
        check_equal(self.to.writes(), [], "write requests")
        check_equal(step.issues(), [], "annotations")
        return f"{step.seconds:.1f} s"

    def dispatch(self):
        self.job.check_out({LIST: self.lists("team/base:1", "team/app:1.2", "team/tool:3")})
        payload = self.webhooks.workflow_dispatch()
        planned = expect(self.step("workflow_dispatch", payload, dry_run="true"), 0, "planned", copied="1")
        check_equal(self.to.writes(), [], "write requests of a dry run")
        done = expect(self.step("workflow_dispatch", payload), 0, "synced", **{"copied": "1", "up-to-date": "2"})
        check_equal(done.outputs["plan-digest"], planned.outputs["plan-digest"], "the plan's digest")
        self.read_back("team/tool:3")

    def conflict(self):
        repository, _ = self.at_target(self.from_, "team/old:1")
        image([layer("theirs", 2_000)]).push(self.target.client, repository, "1")
        image([layer("ours", 2_000)]).push(self.source.client, "team/old", "1")
        before = self.target.client.digest(repository, "1")
        self.job.check_out({LIST: self.lists("team/base:1", "team/old:1")})
        payload = self.webhooks.workflow_dispatch()
        step = expect(self.step("workflow_dispatch", payload), 3, "conflict", conflicts="1")
        check_equal(self.target.client.digest(repository, "1"), before, "the digest of the tag")
        [issue] = step.issues()
        check(issue.startswith(f"error {LIST}:3: The tag `1` is at the target"), issue)
        step = self.step("workflow_dispatch", payload, on_tag_conflict="warn")
        expect(step, 0, "noop", conflicts="1")

    def pull_request(self):
        # What is checked out is the change's own, and not asked.
        self.job.check_out({LIST: self.lists("evil/image:1")})
        base, head = self.commit("team/base:1"), self.commit("team/base:1", "team/new:1")
        self.roots["team/new:1"] = image([layer("new", 40_000)])
        self.roots["team/new:1"].push(self.source.client, "team/new", "1")
        step = self.review("pull_request", self.opened(base, head, action="opened"), check_run="true")
        expect(step, 0, "planned", copied="1")
        [comment] = self.github.comments
        body = comment["body"]
        check(body.startswith(MARKER) and "## 📋 Plan: 1 to copy" in body, body)
        for part in (self.roots["team/new:1"].digest, head[:7], f"/{self.github.repository}/actions/runs/9876543210"):
            check(part in body, f"no {part} in the comment:\n{body}")
        check_equal(step.outputs["comment-url"], comment["html_url"], "the comment's address")
        check(not any("evil" in request.path for request in self.from_.counted()), "the workspace was read")
        [run] = self.github.check_runs
        check_equal((run["head_sha"], run["conclusion"]), (head, "success"), "the check run")
        check(step.summary.startswith("## 📋 Plan: 1 to copy"), step.summary)
        return f"{step.seconds:.1f} s"

    def comment(self):
        [before] = [dict(comment) for comment in self.github.comments]
        names = ("team/base:1", "team/new:1")
        base = self.commit("team/base:1")
        step = self.review("pull_request", self.opened(base, self.commit(*names)))
        expect(step, 0, "planned", **{"comment-url": before["html_url"]})
        check_equal(self.github.writes(), [], "writes to GitHub where nothing is new")
        head = self.commit(*names, note="# another commit\n")
        expect(self.review("pull_request", self.opened(base, head)), 0, "planned")
        check_equal(len(self.github.writes()), 1, "writes to GitHub for another commit")
        self.github.forget()
        [comment] = self.github.comments
        check(head[:7] in comment["body"], "the comment does not name the commit that it is about")
        forged = f"{MARKER}\r\nAll is well, merge it."
        self.github.comment_by("mallory", "User", forged)
        step = self.review("pull_request", self.opened(base, self.commit(*names, "team/gone:1")))
        expect(step, 1, "failed", copied="1", failed="1")
        edit = f"PATCH /repos/{self.github.repository}/issues/comments/{before['id']}"
        check_equal(self.github.writes(), [edit], "writes to GitHub")
        check("## ❌ Plan: 1 blocked, 1 to copy" in self.github.comments[0]["body"], self.github.comments[0]["body"])
        check(any(issue.startswith(f"error {LIST}:4: ") for issue in step.issues()), f"{step.issues()}")
        step = self.review("pull_request", self.opened(base, base))
        expect(step, 0, "noop")
        check("Nothing to sync" in self.github.comments[0]["body"], self.github.comments[0]["body"])
        check_equal(self.github.comments[1]["body"], forged, "somebody else's comment")
        check_equal(len(self.github.comments), 2, "the number of comments")

    def private(self):
        base, head = self.commit("team/base:1"), self.commit("team/base:1", "team/new:1")
        for fork in (False, True):
            payload = self.opened(base, head, fork=fork)
            step = self.review("pull_request_target", payload, allow_private_networks="false", comment="never")
            expect(step, 1, "failed", failed="1")
            check("allow-private-networks" in step.text(), step.text())
            # Where the images go is the operator's word, so that the target may be private.
            check_equal(self.from_.counted(), [], "requests to private addresses")

    def fork(self):
        comments = len(self.github.comments)
        base, head = self.commit("team/base:1"), self.commit("team/base:1", "team/new:1")
        # A fork's token reads, and there are no secrets.
        self.github.may_write = False
        try:
            step = self.review("pull_request", self.opened(base, head, fork=True), check_run="true")
        finally:
            self.github.may_write = True
        expect(step, 0, "planned", **{"copied": "1", "comment-url": ""})
        check_equal(len(self.github.comments), comments, "comments")
        check(step.summary.startswith("## 📋 Plan: 1 to copy"), step.summary)
        check(self.roots["team/new:1"].digest in step.summary, "the summary lacks a digest")
        warnings = [issue for issue in step.issues() if issue.startswith("warning ")]
        check(any("pull-requests: write" in issue for issue in warnings), f"warnings: {warnings}")
        check(any("checks: write" in issue for issue in warnings), f"warnings: {warnings}")

    def fork_target(self):
        self.github.comments.clear()
        base = self.commit("team/base:1")
        text = self.lists("team/base:1", "team/new:1") + "# ::error::a comment of the list ##[warning]x\n"
        head = self.github.commit({LIST: text})
        step = self.review("pull_request_target", self.opened(base, head, fork=True))
        expect(step, 0, "planned", copied="1")
        check_equal(step.issues(), [], "annotations")
        [comment] = self.github.comments
        for part in ("@Codertocat", "stop-commands", "::error"):
            check(part not in comment["body"] + step.summary, f"{part} in comment or summary")
        # A list that cannot be read is quoted, and still commands nothing.
        text = 'images:\n  - "::error::x": "##[warning]y"\n  - source: "@team\\n::echo::on"\n'
        head = self.github.commit({LIST: text})
        step = self.review("pull_request_target", self.opened(base, head, fork=True))
        expect(step, 2, "failed")
        check(all(issue.startswith(f"error {LIST}:") for issue in step.issues()), f"{step.issues()}")
        check("The list cannot be used" in self.github.comments[0]["body"], self.github.comments[0]["body"])

    def merge_group(self):
        comments = len(self.github.comments)
        base, head = self.commit("team/base:1"), self.commit("team/base:1", "team/new:1")
        step = self.review("merge_group", self.webhooks.merge_group(base, head))
        expect(step, 0, "planned", **{"copied": "1", "comment-url": ""})
        check_equal(len(self.github.comments), comments, "comments")
        check_equal(self.github.writes(), [], "writes to GitHub")

    def reviewed(self):
        self.github.comments.clear()
        names = ("team/base:1", "team/new:1")
        base, head = self.commit("team/base:1"), self.commit(*names)
        payload = self.opened(base, head)
        expect(self.review("pull_request", payload), 0, "planned", copied="1")
        self.github.merge(SHA, payload["number"], head)
        self.job.check_out({LIST: self.lists(*names)})
        # Upstream moves the tag between the review and the merge.
        moved = image([layer("moved", 40_000)])
        moved.push(self.source.client, "team/new", "1")
        before = self.everything()
        step = self.step("push", self.webhooks.push(), require_reviewed="true")
        expect(step, 3, "conflict", copied="0", failed="1")
        check_equal(self.everything(), before, "the target's content")
        told = f"not as reviewed in #{payload['number']}: its digest was {self.roots['team/new:1'].digest} and is"
        check(any(told in issue and moved.digest in issue for issue in step.issues()), f"{step.issues()}")
        # And moves it back.
        self.roots["team/new:1"].push(self.source.client, "team/new", "1")
        step = self.step("push", self.webhooks.push(), require_reviewed="true")
        expect(step, 0, "synced", copied="1")
        check("1 as reviewed" in step.summary, step.summary)
        check_equal(self.github.writes(), [], "writes to GitHub")
        self.read_back("team/new:1")

    def other_event(self):
        step = expect(self.step("issue_comment", self.webhooks.push()), 2, "failed")
        check("error :: the event `issue_comment` is not supported" in step.issues()[0], f"{step.issues()}")
        check_equal(self.from_.counted() + self.to.counted(), [], "requests to registries")


class Payloads(Place):
    """Pull requests that do not touch the list, so that nothing but their payloads matters."""

    def actions(self):
        actions = self.webhooks.actions("pull_request")
        check(len(actions) > 10, f"there are examples of {actions} only")
        with GitHub(self.webhooks.repository, TOKEN) as github:
            base = github.commit({LIST: "images: []\n"})
            github.head = github.commit({LIST: "images: []\n", "README.md": "# Hello\n"})
            job = self.runner(github)
            for action in actions:
                payload = self.webhooks.pull_request(base, github.head, action)
                step = job.run("pull_request", payload, {"target-repo-prefix": "127.0.0.1:9/mirror/"})
                expect(step, 0, "noop", images="[]")
                why = "is closed" if action == "closed" else "does not touch the lists"
                check_equal([why in issue for issue in step.issues()], [True], f"{action}: {step.issues()}")
        return f"{len(actions)} actions"
