"""The main job between real registries: the whole corpus, read back by other tools."""

import socket
import threading
from contextlib import ExitStack

from client import OCI_INDEX
from content import image, layer, multi_arch
from corpus import Corpus, signed, with_referrers
from harness import check, check_equal
from proxy import counting
from readback import Readers
from registries import DockerRegistry, Olareg, Zot
from signing import Signer
from syncer import Syncer, check_outcomes

PREFIX = "mirror/"
# Both peers in both roles; olareg shows what zot cannot hold behind a referrers API.
PAIRS = (
    (DockerRegistry, DockerRegistry),
    (DockerRegistry, Zot),
    (Zot, DockerRegistry),
    (Zot, Zot),
    (DockerRegistry, Olareg),
    (Olareg, DockerRegistry),
)
CASES = 20 * len(PAIRS)


def run(book, workplace):
    """All cases: sources are filled once, each pair gets a fresh target."""
    signer = Signer(workplace)
    with ExitStack() as stack:
        trap = stack.enter_context(Trap())
        corpus = Corpus(trap.url)
        sources = {}
        for source, kind in PAIRS:
            if source not in sources:
                sources[source] = stack.enter_context(source(workplace))
                corpus.push(sources[source], signer)
            with kind(workplace) as target:
                book.group(f"mirror {source.kind} → {kind.kind}")
                Pair(workplace, corpus, signer, trap, sources[source], target).run(book)


class Trap:
    """The server of the non-distributable layers' URLs: it counts who comes, and answers nobody."""

    def __init__(self):
        self.visits = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


class Pair:
    """One source and one target; the cases build on each other, in the order of `run`."""

    def __init__(self, workplace, corpus, signer, trap, source, target):
        self.workplace = workplace
        self.signer = signer
        # What the source has, and what of it the target takes and refuses.
        self.all = corpus.held_by(source)
        self.images = corpus.held_by(source, target)
        self.refused = [each for each in self.all if each not in self.images]
        # Some readers do ask those URLs, so the count that matters is the one up to the first of them.
        self.trap = trap
        self.visits_before = trap.visits
        self.source = source
        self.target = target
        self.syncer = Syncer(workplace)
        self.readers = Readers(workplace)
        self.prefix = f"{target.host}/{PREFIX}"
        self.files = self.syncer.write_lists([each.entry(source.host) for each in self.images], 2)
        self.targets = self.full_names(self.images)

    def run(self, book):
        for registry in (self.source, self.target):
            self.readers.prepare(registry)
        book.case("a dry run only reads and leaves nothing", self.dry_run_before)
        book.case("sync copies the corpus", self.sync)
        book.case("nobody asked the URLs of non-distributable layers", self.trap_unvisited)
        book.case("every image is whole and equal, with its companions", self.equal)
        for tool in ("skopeo", "crane", "regctl"):
            book.case(f"{tool} reads every image", self.read_with, tool)
        book.case("oci-client reads every image", self.read_with_oci_client)
        book.case("cosign verifies signatures in .sig tags", self.verify, "tag")
        book.case("cosign verifies signatures in bundle referrers", self.verify, "bundle")
        book.case("cosign verifies attestations in both forms", self.verify_attestations)
        book.case("regctl lists the same referrers", self.regctl_referrers)
        book.case("oras draws the same trees", self.oras_trees)
        book.case("what the target refuses fails, with the reason, and leaves no tag", self.refusals)
        book.case("a second run without companions takes at most two requests an image", self.second_run_skip)
        book.case("a second run with companions writes nothing", self.second_run)
        book.case("a dry run after the sync only reads", self.dry_run_after)
        book.case("signatures made later arrive, and join those that are there", self.late_signatures)
        book.case("a tag that moved at the source is a conflict", self.moved_tag)
        book.case("chosen platforms make a smaller index", self.platforms)

    def full_names(self, images):
        return [self.prefix + ":".join(each.target(self.source.host)) for each in images]

    def target_name(self, image):
        repository, tag = image.target(self.source.host)
        return PREFIX + repository, tag

    def target_reference(self, image):
        repository, tag = self.target_name(image)
        return f"{self.target.host}/{repository}:{tag}"

    def source_reference(self, image):
        return f"{self.source.host}/{image.name}"

    def counted_sync(self, *options):
        """A sync that reaches both registries through counting proxies; returns outcomes and both counts."""
        with counting(self.source) as at_source, counting(self.target) as at_target:
            outcomes = self.syncer.sync(
                self.files, self.prefix,
                "--endpoint", f"{self.source.host}=http://{at_source.host}",
                "--endpoint", f"{self.target.host}=http://{at_target.host}",
                *options,
            )  # fmt: skip
            check(at_target.counted(), "no request went through the proxy: the count would mean nothing")
            writes = at_source.writes() + at_target.writes()
            return outcomes, writes, len(at_source.counted()) + len(at_target.counted())

    def dry_run_before(self):
        _, writes, count = self.counted_sync("--dry-run")
        check_equal(writes, [], "requests of a dry run other than GET and HEAD")
        check_equal(self.target.client.catalog(), [], "repositories at the target after a dry run")
        return f"{count} requests"

    def sync(self):
        files = self.syncer.write_lists([each.entry(self.source.host) for each in self.all], 2)
        outcomes = self.syncer.sync(files, self.prefix, expect=1 if self.refused else 0)
        refused = {target: outcomes.pop(target, None) for target in self.full_names(self.refused)}
        check_outcomes(outcomes, self.targets, "copied")
        check_outcomes(refused, self.full_names(self.refused), "failed")
        return f"{len(outcomes)} images" + (f", {len(refused)} refused by the target" if refused else "")

    def refusals(self):
        for each in self.refused:
            repository, tag = self.target_name(each)
            check_equal(self.target.client.digest(repository, tag), None, f"tag of {each.name}")
        if not self.refused:
            return "it refuses none"
        files = self.syncer.write_lists([each.entry(self.source.host) for each in self.refused])
        items = self.syncer.report(files, self.prefix, expect=1)["items"]
        check_equal({item["outcome"] for item in items}, {"failed"}, "outcomes of what the target refuses")
        causes = [item["cause"] for item in items]
        check(
            all(cause["side"] == "target" and cause["message"] for cause in causes),
            f"causes that do not name the target: {causes}",
        )
        return f"{len(items)} images"

    def equal(self):
        manifests = companions = 0
        known = {}
        for each in self.images:
            repository, tag = self.target_name(each)
            at_source = self.source.client.graph(each.repository, each.tag)
            check_equal(at_source.root, each.root.digest, f"digest of {each.name} at the source")
            at_target = self.target.client.graph(repository, tag, known.setdefault(repository, set()))
            check_equal(at_target, at_source, f"graph of {each.name}")
            belongs_at_source = self.source.client.companions(each.repository, at_source)
            belongs_at_target = self.target.client.companions(repository, at_target)
            check_equal(belongs_at_target.tags, belongs_at_source.tags, f"cosign tags of {each.name}")
            check_equal(
                belongs_at_target.referrers, belongs_at_source.referrers, f"referrers of {each.name}"
            )
            check_equal(belongs_at_target.graphs, belongs_at_source.graphs, f"companions of {each.name}")
            expected = len({companion.digest for _, companion in each.companions})
            check(
                len(belongs_at_target.graphs) >= expected,
                f"{each.name} has {len(belongs_at_target.graphs)} companions, the corpus gave it {expected}",
            )
            manifests += len(at_target.manifests)
            companions += len(belongs_at_target.graphs)
        return f"{manifests} manifests, {companions} companions"

    def read_with(self, tool):
        return self.readers.read_all(tool, self.images, self.target_reference)

    def read_with_oci_client(self):
        return self.readers.oci_client({self.target_reference(each): each for each in self.images})

    def verify(self, form):
        count = 0
        for each in signed(self.images, form):
            repository, _ = self.target_name(each)
            # cosign signs an index together with its children, so each of them has to verify.
            for manifest in [each.root, *each.root.children]:
                self.signer.verify(f"{self.target.host}/{repository}@{manifest.digest}", form)
                count += 1
        check(count > 0, "no image is signed")
        return f"{count} signatures"

    def verify_attestations(self):
        attested = signed(self.images, "attestation")
        check(attested, "no image is attested")
        for each in attested:
            repository, _ = self.target_name(each)
            for form in ("tag", "bundle"):
                self.signer.verify_attestation(f"{self.target.host}/{repository}@{each.root.digest}", form)

    def _with_referrers(self):
        """Pairs of references (source, target) of each image and child that may have referrers."""
        for each in with_referrers(self.images):
            repository, _ = self.target_name(each)
            for manifest in [each.root, *each.root.children]:
                yield (
                    f"{self.source.host}/{each.repository}@{manifest.digest}",
                    f"{self.target.host}/{repository}@{manifest.digest}",
                )

    def regctl_referrers(self):
        return self._same_trees(self.readers.regctl_referrers)

    def oras_trees(self):
        return self._same_trees(lambda reference, typed: self.readers.oras_tree(reference, typed, "--plain-http"))

    def _same_trees(self, read):
        # Where one of the two does not tell the types of artifacts, digests and sizes are compared.
        typed = self.source.tells_artifact_types == self.target.tells_artifact_types
        total = 0
        for at_source, at_target in self._with_referrers():
            expected = read(at_source, typed)
            check_equal(read(at_target, typed), expected, f"referrers of {at_target}")
            total += len(expected)
        check(total >= 40, f"only {total} referrers were seen in all")
        return f"{total} entries"

    def trap_unvisited(self):
        check_equal(self.trap.visits - self.visits_before, 0, "visits at the URLs of non-distributable layers")

    def second_run_skip(self):
        outcomes, writes, count = self.counted_sync("--signatures", "skip")
        check_outcomes(outcomes, self.targets, "up-to-date")
        check_equal(writes, [], "write requests of a second run")
        # Where the list holds the digest, the source need not be asked at all.
        limit = sum(2 if each.written == "tag" else 1 for each in self.images)
        check(count <= limit, f"a second run took {count} requests, at most {limit} are allowed")
        return f"{count} requests, {len(self.targets)} images"

    def second_run(self):
        outcomes, writes, count = self.counted_sync()
        check_outcomes(outcomes, self.targets, "up-to-date")
        check_equal(writes, [], "write requests of a second run")
        return f"{count} requests"

    def dry_run_after(self):
        outcomes, writes, _ = self.counted_sync("--dry-run")
        check_outcomes(outcomes, self.targets, "up-to-date")
        check_equal(writes, [], "requests of a dry run other than GET and HEAD")

    # The last cases change the source, so each pair has repositories of its own there.

    def own(self, name):
        return f"{name}/{self.target.kind}"

    def sync_own(self, repository, tag, *lines, expect=0):
        """Syncs one image of a repository of this pair's own; returns its target's outcome and name."""
        entry = f'  - source: "{self.source.host}/{repository}:{tag}"\n' + "".join(f"    {line}\n" for line in lines)
        outcomes = self.syncer.sync(self.syncer.write_lists([entry]), self.prefix, expect=expect)
        name = PREFIX + self.source.host.replace(":", "_") + "/" + repository
        check_equal(list(outcomes), [f"{self.target.host}/{name}:{tag}"], "targets of the report")
        return list(outcomes.values())[0], name

    def late_signatures(self):
        repository = self.own("late")
        root = multi_arch({
            text: image([layer(f"late {text}", 10_000)], text) for text in ("linux/amd64", "linux/arm64")
        })
        root.push(self.source.client, repository, "1")
        outcome, name = self.sync_own(repository, "1")
        check_equal(outcome, "copied", "outcome of the unsigned image")
        for number, form in enumerate(("tag", "bundle", "tag", "bundle")):
            # cosign makes no second signature that says the same.
            self.signer.sign_reference(f"{self.source.host}/{repository}@{root.digest}", form, f"number={number}")
            outcome, name = self.sync_own(repository, "1")
            check_equal(outcome, "companions-copied", f"outcome after a signature as {form}")
            for manifest in [root, *root.children]:
                self.signer.verify(f"{self.target.host}/{name}@{manifest.digest}", form)
        graph = self.source.client.graph(repository, "1")
        check_equal(
            self.target.client.companions(name, graph),
            self.source.client.companions(repository, graph),
            "companions after four signatures",
        )
        outcome, _ = self.sync_own(repository, "1")
        check_equal(outcome, "up-to-date", "outcome when all signatures are there")

    def moved_tag(self):
        repository = self.own("moved")
        before = image([layer("before", 10_000)])
        before.push(self.source.client, repository, "1")
        _, name = self.sync_own(repository, "1")
        image([layer("after", 10_000)]).push(self.source.client, repository, "1")
        outcome, _ = self.sync_own(repository, "1", expect=3)
        check_equal(outcome, "conflict", "outcome of a moved tag")
        check_equal(self.target.client.digest(name, "1"), before.digest, "the tag at the target")

    def platforms(self):
        repository = self.own("chosen")
        children = {
            text: image([layer(f"chosen {text}", 10_000)], text)
            for text in ("linux/amd64", "linux/arm64", "linux/s390x")
        }
        multi_arch(children).push(self.source.client, repository, "1")
        outcome, name = self.sync_own(repository, "1", 'platforms: ["linux/arm64", "linux/amd64"]')
        check_equal(outcome, "copied", "outcome of a choice of platforms")
        graph = self.target.client.graph(name, "1")
        check_equal(graph.manifests[graph.root][0], OCI_INDEX, "media type of the smaller index")
        kept = {children["linux/amd64"].digest, children["linux/arm64"].digest}
        check_equal(set(graph.manifests) - {graph.root}, kept, "children of the smaller index")
        outcome, _ = self.sync_own(repository, "1", 'platforms: ["linux/amd64", "linux/arm64"]')
        check_equal(outcome, "up-to-date", "outcome of the same choice in another order")
