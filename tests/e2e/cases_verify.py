"""`verify` on targets that real registries keep, after something happened to their folders and tags."""

import json
import re
from contextlib import ExitStack
from pathlib import Path

from content import artifact, image, layer, multi_arch
from harness import check, check_equal
from registries import DockerRegistry, Zot
from signing import Signer
from syncer import Syncer

TARGETS = (DockerRegistry, Zot)
CASES = 8 * len(TARGETS) + 1
REPOSITORY = "audit/app"
DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "github.md"


def run(book, workplace):
    signer = Signer(workplace)
    for kind in TARGETS:
        book.group(f"verify: docker-registry → {kind.kind}")
        with DockerRegistry(workplace) as source, kind(workplace) as target:
            audits = Audits(workplace, signer, source, target)
            book.case("what was mirrored is sound", audits.sound)
            book.case("a signature that came later is missing until the next sync", audits.signed_later)
            book.case("other bytes on the disk are found by reading them", audits.corrupt)
            book.case("a blob that vanished from the disk is told by layer and platform", audits.blob)
            book.case("a tag that is gone is missing, and the sync after it heals the blob", audits.healed)
            book.case("a manifest that vanished from the disk is told by platform", audits.child)
            book.case("a tag that somebody wrote has moved", audits.moved)
            book.case("tags that no list names are found, in other repositories too", audits.unlisted)
    book.group("verify: the scheduled workflow")
    with DockerRegistry(workplace) as source, DockerRegistry(workplace) as target:
        workflow = Workflow(workplace, Audits(workplace, signer, source, target))
        book.case("it opens, updates and closes one issue", workflow.one_issue)


class Audits:
    """An index for two platforms with a signature and a referrer, pinned in the list; the cases go on from each other."""

    def __init__(self, workplace, signer, source, target):
        self.workplace = workplace
        self.signer = signer
        self.source = source
        self.target = target
        self.prefix = f"{target.host}/mirror/"
        self.at = f"mirror/{REPOSITORY}"
        self.amd64 = image([layer("audit base", 30_000), layer("audit amd64", 20_000)])
        self.arm64 = image([layer("audit base", 30_000), layer("audit arm64", 20_000)], "linux/arm64")
        self.index = multi_arch({"linux/amd64": self.amd64, "linux/arm64": self.arm64})
        self.index.push(source.client, REPOSITORY, "1")
        artifact("application/vnd.example.audit", subject=self.index).push(source.client, REPOSITORY)
        self.file = workplace.fresh_folder("audit") / "external-images.yaml"
        self.file.write_text(
            f'images:\n  - source: "{source.host}/{REPOSITORY}:1@{self.index.digest}"\n    target: "{REPOSITORY}"\n'
        )
        self.sync("copied")

    def sync(self, outcome):
        found = Syncer(self.workplace).sync([self.file], self.prefix)
        check_equal(list(found.values()), [outcome], "outcomes")

    def verify(self, code, *kinds, options=()):
        """Runs `verify`; the kinds of the image's findings are these. Returns the report."""
        arguments = ["verify", "-i", self.file, "-r", self.prefix, "--format", "json", *options]
        done = self.workplace.run([self.workplace.binary, *arguments], expect=(code,))
        report = json.loads(done.output)
        check_equal([finding["kind"] for finding in report["images"][0]["findings"]], list(kinds), "findings")
        return report

    def on_disk(self, digest):
        """The file in which the target keeps some content."""
        hexadecimal = digest.removeprefix("sha256:")
        if isinstance(self.target, Zot):
            return self.target.folder / self.at / "blobs" / "sha256" / hexadecimal
        blobs = self.target.folder / "docker" / "registry" / "v2" / "blobs" / "sha256"
        return blobs / hexadecimal[:2] / hexadecimal / "data"

    def sound(self):
        report = self.verify(0, options=("--deep", "--unlisted"))
        check_equal(report["images"][0]["digest"], self.index.digest, "the tag's digest")
        check_equal(report["totals"]["manifests"], 4, "manifests: the index, two images, the referrer")
        check_equal(report["unlisted"]["catalog"], "all", "the catalog")

    def signed_later(self):
        for form in ("tag", "bundle"):
            self.signer.sign_reference(f"{self.source.host}/{REPOSITORY}@{self.index.digest}", form)
        report = self.verify(3, *["companion-missing"] * 6)
        parts = {finding["part"].split()[1] for finding in report["images"][0]["findings"]}
        check_equal(parts, {"signature"}, "what is missing")
        self.sync("companions-copied")
        self.verify(0, options=("--deep", "--signatures", "require"))

    def corrupt(self):
        file = self.on_disk(self.arm64.blobs[2].digest)
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        self.verify(0)
        report = self.verify(3, "corrupt", options=("--deep",))
        check_equal(report["images"][0]["findings"][0]["part"], "layer 2 of linux/arm64", "the part")
        file.write_bytes(good)
        self.verify(0, options=("--deep",))

    def blob(self):
        self.on_disk(self.amd64.blobs[2].digest).unlink()
        report = self.verify(3, "blob-missing")
        finding = report["images"][0]["findings"][0]
        check_equal(finding["part"], "layer 2 of linux/amd64", "the part")
        check_equal(finding["expected"], self.amd64.blobs[2].digest, "the digest")

    def healed(self):
        self.delete_tag("1")
        self.verify(3, "missing")
        self.sync("copied")
        self.verify(0, options=("--deep",))

    def child(self):
        file = self.on_disk(self.arm64.digest)
        good = file.read_bytes()
        file.unlink()
        # zot has no list of referrers any more once it lacks a manifest.
        report = self.verify(3, "manifest-missing", options=("--signatures", "skip"))
        check_equal(report["images"][0]["findings"][0]["part"], "linux/arm64", "the part")
        file.write_bytes(good)
        self.verify(0)

    def moved(self):
        # zot lets no image take the place of an index.
        other = multi_arch({"linux/amd64": self.amd64})
        other.push(self.target.client, self.at, "1")
        report = self.verify(3, "moved", options=("--signatures", "skip"))
        check_equal(report["images"][0]["findings"][0]["found"], other.digest, "what the tag has")
        self.delete_tag("1")
        self.sync("copied")

    def delete_tag(self, tag):
        if isinstance(self.target, Zot):
            answer = self.target.client.request("DELETE", f"/v2/{self.at}/manifests/{tag}")
            check_equal(answer.status, 202, "the tag's DELETE")
            return
        # docker-registry 2.8 deletes by digest only, and so all tags of it.
        folder = self.target.folder / "docker" / "registry" / "v2" / "repositories" / self.at / "_manifests" / "tags"
        (folder / tag / "current" / "link").unlink()

    def unlisted(self):
        self.amd64.push(self.target.client, self.at, "old")
        self.amd64.push(self.target.client, "mirror/audit/other", "2")
        self.amd64.push(self.target.client, "private/app", "3")
        self.verify(0)
        report = self.verify(3, options=("--unlisted",))
        found = {finding["target"]: finding["digest"] for finding in report["unlisted"]["findings"]}
        names = [f"{self.at}:old", "mirror/audit/other:2"]
        check_equal(found, {f"{self.target.host}/{name}": self.amd64.digest for name in names}, "unlisted tags")


# Stands in for docker and for gh: the first runs the program on this machine, the second keeps issues in a file.
DOCKER = """\
#!/usr/bin/env python3
import os, sys
arguments = sys.argv[1:]
image = arguments.index(os.environ["IMAGE"])
mounts = {}
for place, argument in enumerate(arguments[:image]):
    if argument == "--volume":
        outside, inside = arguments[place + 1].split(":")[:2]
        mounts[inside] = outside
def outside(text):
    for inside, folder in mounts.items():
        if text == inside or text.startswith(inside + "/"):
            return folder + text[len(inside):]
    return text
os.chdir(outside(arguments[arguments.index("--workdir") + 1]))
program = [os.environ["PROGRAM"], *map(outside, arguments[image + 1:])]
os.execv(program[0], program)
"""
GH = """\
#!/usr/bin/env python3
import json, os, sys
file = os.environ["ISSUES"]
issues = json.load(open(file))
kind, action, *rest = sys.argv[1:]
options = dict(zip(rest, rest[1:]))
assert kind == "issue" and os.environ["GH_REPO"] and os.environ["GH_TOKEN"], sys.argv
if action == "list":
    assert options["--app"] == "github-actions" and options["--state"] == "open", options
    assert options["--jq"] == "map(select(.title == env.TITLE)) | .[0].number // empty", options
    found = [i for i in issues if i["open"] and i["ours"] and i["title"] == os.environ["TITLE"]]
    print(*[issue["number"] for issue in found[:1]])
elif action == "create":
    body = open(options["--body-file"]).read()
    issues.append({"number": len(issues) + 1, "title": options["--title"], "body": body, "open": True, "ours": True})
elif action == "edit":
    issues[int(rest[0]) - 1]["body"] = open(options["--body-file"]).read()
elif action == "close":
    issues[int(rest[0]) - 1]["open"] = False
else:
    sys.exit("unknown: " + action)
json.dump(issues, open(file, "w"))
"""


class Workflow:
    """The scripts of the documented workflow, as the runner would run them."""

    def __init__(self, workplace, audits):
        self.workplace = workplace
        self.audits = audits
        block = re.search(r"^```yaml\n(name: verify-images\n.*?)^```$", DOCUMENTATION.read_text(), re.M | re.S)[1]
        self.scripts = {
            step: re.sub(r"^ {10}", "", script, flags=re.M)
            for step, script in re.findall(r"- name: ([^\n]+)\n(?:(?!      - ).*\n)*?        run: \|\n((?: {10}.*\n)+)", block)
        }
        check_equal(set(self.scripts), {"Verify", "Keep the issue"}, "steps with scripts")
        self.folder = workplace.fresh_folder("workflow")
        programs = self.folder / "programs"
        programs.mkdir()
        for name, text in (("docker", DOCKER), ("gh", GH)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.issues = self.folder / "issues.json"
        # Somebody else's, of the same title.
        title = re.search(r"TITLE: (.*)", block)[1]
        other = {"number": 1, "title": title, "body": "mine", "open": True, "ours": False}
        self.issues.write_text(json.dumps([other]))
        self.environment = {
            "PATH": f"{programs}:{workplace.environment['PATH']}",
            "PROGRAM": str(workplace.binary),
            "ISSUES": str(self.issues),
            "IMAGE": "image",
            "PREFIX": audits.prefix,
            "TITLE": title,
            "GH_REPO": "team/images",
            "GH_TOKEN": "a token",
        }

    def night(self, code):
        """One run of the job, which ends with this exit code; gives the issues."""
        temp = self.workplace.fresh_folder("runner")
        (temp / "docker").mkdir()
        output = temp / "output"
        output.touch()
        environment = {
            **self.environment,
            "RUNNER_TEMP": str(temp),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        }
        # As the runner starts bash.
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c"]
        workspace = self.audits.file.parent
        self.workplace.run([*shell, self.scripts["Verify"]], environment=environment, directory=workspace)
        environment["CODE"] = re.fullmatch(r"code=(\d+)\n", output.read_text())[1]
        keep = [*shell, self.scripts["Keep the issue"]]
        self.workplace.run(keep, environment=environment, directory=workspace, expect=(code,))
        return json.loads(self.issues.read_text())

    def one_issue(self):
        check_equal(len(self.night(0)), 1, "issues while all is well")
        client = self.audits.target.client
        self.audits.amd64.push(client, self.audits.at, "old")
        issues = self.night(3)
        check_equal(len(issues), 2, "issues after the first finding")
        check("1 tag that no list names" in issues[1]["body"], f"the issue does not say it: {issues[1]['body']}")
        self.audits.amd64.push(client, self.audits.at, "older")
        issues = self.night(3)
        check_equal(len(issues), 2, "issues after the second finding")
        check("2 tags that no list names" in issues[1]["body"], f"the issue does not say it: {issues[1]['body']}")
        self.audits.file.write_text(self.audits.file.read_text() + "nonsense: 1\n")
        issues = self.night(2)
        check("exit code 2" in issues[1]["body"], f"the issue does not say it: {issues[1]['body']}")
        self.audits.file.write_text(self.audits.file.read_text().replace("nonsense: 1\n", ""))
        for tag in ("old", "older"):
            self.audits.delete_tag(tag)
        issues = self.night(0)
        check_equal([issue["open"] for issue in issues], [True, False], "open issues at the end")
        check_equal(issues[0]["body"], "mine", "somebody else's issue")
