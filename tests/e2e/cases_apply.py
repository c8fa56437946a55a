"""A plan that is carried out after the tags at its source have moved: `plan --out`, `sync --plan`."""

import json

from content import artifact, cosign_signature, image, layer, multi_arch
from harness import check, check_equal
from registries import DockerRegistry, Zot
from syncer import Syncer

PAIRS = ((DockerRegistry, Zot), (Zot, DockerRegistry))
CASES = 4 * len(PAIRS)
TWO = ("linux/amd64", "linux/arm64")


def run(book, workplace):
    for first, second in PAIRS:
        with first(workplace) as source, second(workplace) as target:
            book.group(f"a plan from {first.kind} to {second.kind}")
            Applied(workplace, source, target).run(book)


class Applied:
    """The cases build on each other, in the order of `run`."""

    def __init__(self, workplace, source, target):
        self.workplace = workplace
        self.source = source
        self.target = target
        self.syncer = Syncer(workplace)
        self.plan = workplace.fresh_folder("plan") / "plan.json"
        self.prefix = f"{target.host}/mirror/"
        entries = [f'  - source: "{source.host}/team/{name}:1"\n    target: {name}\n' for name in ("app", "tool")]
        self.files = self.syncer.write_lists(entries)
        self.roots = {
            "app": multi_arch({text: image([layer(f"apply {text}", 50_000)], text) for text in TWO}),
            "tool": image([layer("apply tool", 20_000)]),
        }
        for name, root in self.roots.items():
            root.push(source.client, f"team/{name}", "1")
        self.signature_tag = self.roots["app"].digest.replace(":", "-") + ".sig"
        self.signature = cosign_signature(self.roots["app"], "1")
        self.signature.push(source.client, "team/app", self.signature_tag)

    def run(self, book):
        book.case("a plan is written, and nothing to any registry", self.make)
        book.case("a plan of another list is refused", self.refuse)
        book.case("what was planned is done, whatever the tags have by now", self.carry_out)
        book.case("a sync of its own tells the conflict that came of it", self.later)

    def make(self):
        command = self.syncer.command(self.files, self.prefix, "--out", str(self.plan))
        command[1] = "plan"
        self.workplace.run(command)
        plan = json.loads(self.plan.read_text())
        check_equal([item["digest"] for item in plan["items"]], [root.digest for root in self.roots.values()], "digests")
        check_equal(self.target.client.catalog(), [], "repositories of the target")

    def refuse(self):
        [other] = self.syncer.write_lists([f'  - source: "{self.source.host}/team/app:1"\n    target: other\n'])
        command = self.syncer.command([other], self.prefix, "--plan", str(self.plan))
        told = self.workplace.run(command, expect=(2,))
        check(b"it is of other lists than this run's" in told.errors, told.errors.decode(errors="replace"))
        check_equal(self.target.client.catalog(), [], "repositories of the target")

    def carry_out(self):
        # zot 1.4 forgets what has no tag any more, and does not take an image under a tag that has an index.
        self.roots["app"].push(self.source.client, "team/app", "kept")
        self.signature.push(self.source.client, "team/app", "kept-signature")
        moved = multi_arch({text: image([layer(f"apply moved {text}", 30_000)], text) for text in TWO})
        moved.push(self.source.client, "team/app", "1")
        cosign_signature(self.roots["app"], "2").push(self.source.client, "team/app", self.signature_tag)
        artifact("application/spdx+json", subject=self.roots["app"]).push(self.source.client, "team/app")
        report = self.syncer.report(self.files, self.prefix, "--plan", str(self.plan))
        for name, root in self.roots.items():
            reference = f"{self.prefix}{name}:1"
            found = self.workplace.run(["crane", "digest", reference]).text.strip()
            check_equal(found, root.digest, reference)
            self.workplace.run(["crane", "validate", "--remote", reference])
        codes = [[remark["code"] for remark in item["remarks"]] for item in report["items"]]
        check_equal(codes, [["source-moved"], []], "remarks")
        client = self.target.client
        check_equal(client.digest("mirror/app", self.signature_tag), self.signature.digest, "the signature")
        graph = client.graph("mirror/app", "1")
        check_equal(len(client.companions("mirror/app", graph).referrers), 0, "referrers that came after the plan")

    def later(self):
        report = self.syncer.report(self.files, self.prefix, expect=3)
        outcomes = [item["outcome"] for item in report["items"]]
        check_equal(outcomes, ["conflict", "up-to-date"], "outcomes")
        check_equal(self.target.client.digest("mirror/app", "1"), self.roots["app"].digest, "the tag's digest")
