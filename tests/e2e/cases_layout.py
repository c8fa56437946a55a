"""`oci:DIR/` as target: a valid image layout that other tools read, with companions."""

import json
from concurrent.futures import ThreadPoolExecutor

from client import OCI_INDEX, OCI_MANIFEST, Client, digest_of
from corpus import Corpus, with_referrers
from harness import check, check_equal
from readback import WORKERS, Readers
from registries import DockerRegistry, ServeLayout, Zot
from signing import Signer
from syncer import Syncer, check_outcomes

SOURCES = (DockerRegistry, Zot)
CASES = 7 * len(SOURCES)
REF_NAME = "org.opencontainers.image.ref.name"


def run(book, workplace):
    signer = Signer(workplace)
    corpus = Corpus("http://127.0.0.1:9")
    for kind in SOURCES:
        with kind(workplace) as source:
            corpus.push(source, signer)
            book.group(f"layout from {kind.kind}")
            Layout(workplace, corpus, source).run(book)


class Layout:
    """One source, and a layout folder that the cases fill and read."""

    def __init__(self, workplace, corpus, source):
        self.workplace = workplace
        self.images = corpus.held_by(source)
        self.source = source
        self.syncer = Syncer(workplace)
        self.readers = Readers(workplace)
        self.folder = workplace.fresh_folder("target") / "layout"
        self.prefix = f"oci:{self.folder}/"
        self.files = self.syncer.write_lists([each.entry(source.host) for each in self.images])
        self.targets = [self.prefix + self.name(each) for each in self.images]

    def run(self, book):
        self.readers.prepare(self.source)
        book.case("sync fills the folder", self.sync)
        book.case("the layout is valid, whole, and has all companions", self.valid)
        book.case("skopeo reads every image", self.skopeo)
        book.case("regctl reads every image", self.regctl)
        book.case("oras reads every image and draws the same trees", self.oras)
        book.case("a second run changes no file", self.second_run)
        book.case("serve --root shows the same images", self.serve)

    def name(self, image):
        return ":".join(image.target(self.source.host))

    def sync(self):
        check_outcomes(self.syncer.sync(self.files, self.prefix), self.targets, "copied")

    def index(self):
        return json.loads((self.folder / "index.json").read_bytes())

    def blob(self, digest):
        path = self.folder / "blobs" / digest.replace(":", "/")
        check(path.is_file(), f"{digest} is missing in the layout")
        return path.read_bytes()

    def valid(self):
        marker = json.loads((self.folder / "oci-layout").read_bytes())
        check_equal(marker, {"imageLayoutVersion": "1.0.0"}, "the file oci-layout")
        index = self.index()
        check_equal(index["schemaVersion"], 2, "schemaVersion of index.json")
        named = {}
        for descriptor in index["manifests"]:
            check_equal(len(self.blob(descriptor["digest"])), descriptor["size"], f"size of {descriptor}")
            name = descriptor.get("annotations", {}).get(REF_NAME)
            if name:
                check(name not in named, f"{name} is in index.json twice")
                named[name] = descriptor
        blobs = 0
        for path in (self.folder / "blobs" / "sha256").iterdir():
            check_equal(digest_of(path.read_bytes()), f"sha256:{path.name}", "bytes of a file in blobs/sha256")
            blobs += 1
        for each in self.images:
            name = self.name(each)
            check(name in named, f"{name} is not in index.json")
            check_equal(named[name]["digest"], each.root.digest, f"digest of {name}")
            check_equal(named[name]["mediaType"], each.root.media_type, f"media type of {name}")
            graph = self.source.client.graph(each.repository, each.tag)
            belonging = self.source.client.companions(each.repository, graph)
            for part in [graph, *belonging.graphs.values()]:
                for digest, (_, data) in part.manifests.items():
                    check_equal(self.blob(digest), data, f"manifest {digest} of {name}")
                for digest, size in part.blobs.items():
                    path = self.folder / "blobs" / digest.replace(":", "/")
                    check(path.is_file() and path.stat().st_size == size, f"{name} lacks the blob {digest}")
        return f"{len(named)} names, {blobs} files"

    def _each(self, read, images=None):
        images = images or self.images
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(read, images))
        return f"{len(images)} images"

    def skopeo(self):
        # In a layout skopeo 1.9 looks only for names of OCI media types.
        images = [each for each in self.images if each.root.media_type in (OCI_MANIFEST, OCI_INDEX)]
        check(len(images) >= 50, f"only {len(images)} images have an OCI media type")

        def read(image):
            raw = self.workplace.run(["skopeo", "inspect", "--raw", f"oci:{self.folder}:{self.name(image)}"])
            check_equal(raw.output, image.root.data, f"skopeo inspect of {image.name}")

        return self._each(read, images)

    def regctl(self):
        def read(image):
            reference = f"ocidir://{self.folder}@{image.root.digest}"
            raw = self.workplace.run(["regctl", "manifest", "get", "--format", "raw-body", reference])
            check_equal(raw.output, image.root.data, f"regctl manifest get of {image.name}")
            copy = self.workplace.fresh_folder("regctl")
            self.workplace.run(["regctl", "image", "copy", reference, f"ocidir://{copy}/layout:read"])

        return self._each(read)

    def oras(self):
        def read(image):
            reference = f"{self.folder}@{image.root.digest}"
            raw = self.workplace.run(["oras", "manifest", "fetch", "--oci-layout", reference])
            check_equal(raw.output, image.root.data, f"oras manifest fetch of {image.name}")

        self._each(read)
        total = 0
        for each in with_referrers(self.images):
            # oras finds in a layout what index.json lists, which need not be so for children.
            source = f"{self.source.host}/{each.repository}@{each.root.digest}"
            typed = self.source.tells_artifact_types
            expected = self.readers.oras_tree(source, typed, "--plain-http")
            found = self.readers.oras_tree(f"{self.folder}@{each.root.digest}", typed, "--oci-layout")
            check_equal(found, expected, f"referrers of {source}")
            total += len(expected)
        check(total >= 40, f"only {total} referrers were seen in all")

    def second_run(self):
        def state():
            return {
                path: (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_size)
                for path in self.folder.rglob("*") if path.is_file() and path.name[0] != "."
            }

        before = state()
        check_outcomes(self.syncer.sync(self.files, self.prefix), self.targets, "up-to-date")
        check_equal(state(), before, "files of the layout after a second run")

    def serve(self):
        class Served(ServeLayout):
            """The filled folder, served."""

            def _arguments(served):
                return [self.workplace.binary, "serve", "--root", self.folder, "--listen", served.host]

        with Served(self.workplace) as registry:
            client = Client(registry.host)
            for each in self.images:
                repository, tag = each.target(self.source.host)
                found = client.graph(repository, tag, set())
                check_equal(found.root, each.root.digest, f"digest of {each.name} when served")
            client.close()
