"""The policy's rules of signatures, with the real cosign's signatures by key, between real registries."""

import json

from content import image, layer, multi_arch
from harness import check, check_equal
from registries import DockerRegistry, Zot
from signing import Signer
from syncer import Syncer

PAIRS = ((Zot, DockerRegistry), (DockerRegistry, Zot))
CASES = 8 * len(PAIRS)
PREFIX = "mirror/"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILDER = "https://builder.example/1"


def run(book, workplace):
    for source_kind, target_kind in PAIRS:
        book.group(f"trust {source_kind.kind} → {target_kind.kind}")
        with source_kind(workplace) as source, target_kind(workplace) as target:
            Pair(workplace, source, target).run(book)


class Pair:
    """Images of a source, each with a repository of its own, and a policy that asks for one key's signatures."""

    def __init__(self, workplace, source, target):
        self.workplace = workplace
        self.source = source
        self.target = target
        self.syncer = Syncer(workplace)
        self.signer = Signer(workplace)
        self.stranger = Signer(workplace)

    def run(self, book):
        book.case("an image without a signature is denied, and nothing of it is sent", self.unsigned)
        for form in ("tag", "bundle"):
            book.case(f"cosign's signature as {form} opens the gate", self.signed, form)
        book.case("cosign 2's signature opens the gate", self.signed_as_before)
        book.case("another key's signatures are none, in both forms", self.strangers)
        book.case("a rule that is tightened counts for what is there; a signature that comes later mends it", self.later)
        book.case("cosign's attestations, in both forms", self.attested)
        book.case("policy explain names the rule that holds", self.explained)

    def policy(self, more=""):
        """A policy that asks for a signature by the signer's key, which is in a file beside it."""
        folder = self.workplace.fresh_folder("policy")
        (folder / "cosign.pub").write_text(self.signer.public_key)
        path = folder / "policy.yaml"
        path.write_text(
            f'signatures:\n- sources: ["{self.source.host}/**"]\n  anyOf: [{{key: cosign.pub}}]\n{more}'
        )
        return path

    def push(self, name):
        repository = f"trust/{name}"
        root = multi_arch({
            text: image([layer(f"{name} {text}", 10_000)], text) for text in ("linux/amd64", "linux/arm64")
        })
        root.push(self.source.client, repository, "1")
        return repository, f"{self.source.host}/{repository}@{root.digest}"

    def item(self, repository, *options, expect=0):
        """What became of an image: its item in the report."""
        files = self.syncer.write_lists([f'  - source: "{self.source.host}/{repository}:1"\n'])
        report = self.syncer.report(files, f"{self.target.host}/{PREFIX}", *options, expect=expect)
        return report["items"][0]

    def at_target(self, repository):
        return PREFIX + self.source.host.replace(":", "_") + "/" + repository

    def denied(self, repository, *options):
        for more in (("--dry-run",), ()):
            item = self.item(repository, *options, *more, expect=3)
            check_equal((item["outcome"], item["cause"]["kind"]), ("blocked", "policy"), "what became of it")
        return item

    def unsigned(self):
        repository, _ = self.push("unsigned")
        item = self.denied(repository, "--policy-file", self.policy())
        check("no signature of it was found" in item["cause"]["message"], item["cause"]["message"])
        check_equal(self.target.client.catalog(), [], "repositories at the target")

    def signed(self, form):
        repository, reference = self.push(f"signed-{form}")
        self.signer.sign_reference(reference, form)
        for outcome in ("copied", "up-to-date"):
            item = self.item(repository, "--policy-file", self.policy())
            check_equal((item["outcome"], item["verification"]["result"]), (outcome, "verified"), "what became of it")
        place = item["verification"]["signers"][0]["place"]
        check(place.startswith("tag " if form == "tag" else "referrer "), f"verified by {place}")
        digest = reference.rpartition("@")[2]
        check_equal(self.target.client.digest(self.at_target(repository), "1"), digest, "the tag at the target")
        return place

    def signed_as_before(self):
        repository, reference = self.push("signed-before")
        self.signer.sign_as_before(reference)
        item = self.item(repository, "--policy-file", self.policy())
        check_equal((item["outcome"], item["verification"]["result"]), ("copied", "verified"), "what became of it")
        tag = "sha256-" + reference.rpartition(":")[2] + ".sig"
        check_equal(item["verification"]["signers"][0]["place"], f"tag {tag}", "where the signature is")

    def strangers(self):
        repository, reference = self.push("strangers")
        for form in ("tag", "bundle"):
            self.stranger.sign_reference(reference, form)
            item = self.denied(repository, "--policy-file", self.policy("  unsigned: allow\n"))
            check_equal(item["verification"]["result"], "refused", "what the signatures are worth")
        self.signer.sign_reference(reference, "bundle", "by=another")
        item = self.item(repository, "--policy-file", self.policy())
        check_equal(item["verification"]["result"], "verified", "what the signatures are worth")

    def later(self):
        repository, reference = self.push("later")
        check_equal(self.item(repository)["outcome"], "copied", "outcome without a policy")
        self.denied(repository, "--policy-file", self.policy())
        digest = reference.rpartition("@")[2]
        check_equal(self.target.client.digest(self.at_target(repository), "1"), digest, "the tag that is there")
        for number, form in enumerate(("tag", "bundle")):
            self.signer.sign_reference(reference, form, f"number={number}")
            item = self.item(repository, "--policy-file", self.policy())
            check_equal(
                (item["outcome"], item["verification"]["result"]), ("companions-copied", "verified"), "what became of it"
            )

    def attested(self):
        asked = f'  attestations: [{{type: slsaProvenance, builder: "{BUILDER}"}}]\n'
        for form in ("tag", "bundle"):
            repository, reference = self.push(f"attested-{form}")
            self.signer.sign_reference(reference, form)
            self.denied(repository, "--policy-file", self.policy(asked))
            self.signer.attest_reference(reference, form, provenance("https://builder.example/2"))
            self.denied(repository, "--policy-file", self.policy(asked))
            self.signer.attest_reference(reference, form, provenance(BUILDER))
            item = self.item(repository, "--policy-file", self.policy(asked))
            check_equal((item["outcome"], item["verification"]["result"]), ("copied", "verified"), "what became of it")
            check_equal(item["verification"]["signers"][0]["statement"], PROVENANCE, "the statement")

    def explained(self):
        told = self.workplace.run([
            self.workplace.binary, "policy", "explain", f"{self.source.host}/trust/any:1",
            "--policy-file", self.policy(), "--format", "json",
        ])  # fmt: skip
        rules = json.loads(told.text)["signatures"]
        check_equal([rule["holds"] for rule in rules], [True], "rules that are about it")
        check("key `cosign.pub`" in rules[0]["asks_for"], rules[0]["asks_for"])


def provenance(builder):
    """A predicate of SLSA provenance v1."""
    return json.dumps({
        "buildDefinition": {
            "buildType": "https://builder.example/type", "externalParameters": {}, "resolvedDependencies": [],
        },
        "runDetails": {"builder": {"id": builder}},
    })  # fmt: skip
