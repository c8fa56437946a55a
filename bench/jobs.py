"""The jobs that are timed, and how each program is asked to do them.

A job fills the source once, knows the commands, and checks at the target that the work was really done.
"""

import hashlib
import json
import random
import shlex
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from client import OCI_MANIFEST
from content import OCI_CONFIG, OCI_LAYER, cosign_signature, image, layer, multi_arch
from corpus import external_images
from harness import check, check_equal

PIECE = 1024 * 1024
PLATFORMS = ("linux/amd64", "linux/arm64")
BASES = 10

OURS = "image-syncer"
OURS_SKIP = "image-syncer --signatures skip"
SKOPEO = "skopeo copy"
SKOPEO_LOOP = "loop of skopeo copy --all"
CRANE = "crane copy"
CRANE_LOOP = "loop of crane copy"

SKOPEO_WORDS = "skopeo copy --all --src-tls-verify=false --dest-tls-verify=false"
CRANE_WORDS = "crane copy"


@dataclass(frozen=True)
class Wanted:
    """How many times as fast as a peer we want to be."""

    ours: str
    peer: str
    ratio: float


class Job:
    """One kind of work. Commands get the hosts of source and target, which may be counting proxies."""

    name = ""
    title = ""
    # Whether each run gets a new, empty target; otherwise all have one that holds everything already.
    fresh = True
    contestants = ()
    wanted = ()
    timeout = 900

    def __init__(self, workplace, images):
        self.workplace = workplace
        self.images = images

    def prepare(self, source):
        """Fills the source."""
        self.images.push(source)

    def command(self, contestant, source_host, target_host):
        """The arguments that make a contestant do the job."""
        if contestant in (OURS, OURS_SKIP):
            options = contestant.split()[1:]
            return self.syncer(source_host, target_host, *options)
        if contestant == SKOPEO:
            source, target = self.images.pairs(source_host, target_host)[0]
            plain = [word for word in SKOPEO_WORDS.split() if word != "--all"]
            return [*plain, f"docker://{source}", f"docker://{target}"]
        if contestant == CRANE:
            return [*CRANE_WORDS.split(), *self.images.pairs(source_host, target_host)[0]]
        words, scheme = (SKOPEO_WORDS, "docker://") if contestant == SKOPEO_LOOP else (CRANE_WORDS, "")
        return self.loop(words, scheme, self.images.pairs(source_host, target_host))

    def syncer(self, source_host, target_host, *options):
        entries = [
            f'  - source: "{source}"\n    target: "{target.split("/", 1)[1].rsplit(":", 1)[0]}"\n'
            for source, target in self.images.pairs(source_host, target_host)
        ]
        file = self.workplace.fresh_folder("list") / "external-images.yaml"
        file.write_text(external_images(entries))
        return [self.workplace.binary, "--images-file", file, "--target-repo-prefix", f"{target_host}/", *options]

    def loop(self, words, scheme, pairs):
        file = self.workplace.fresh_folder("loop") / "pairs"
        file.write_text("".join(f"{source} {target}\n" for source, target in pairs))
        script = (
            f'while read -r source target; do {words} "{scheme}$source" "{scheme}$target" || exit 1; '
            f"done <{shlex.quote(str(file))}"
        )
        return ["bash", "-c", script]

    def verify(self, contestant, target):
        """Checks that the target holds all that the contestant had to bring there."""
        self.images.verify(target, companions=contestant == OURS)


class LayerJob(Job):
    name = "layer"
    contestants = (OURS, CRANE, SKOPEO)
    wanted = (Wanted(OURS, CRANE, 0.9), Wanted(OURS, SKOPEO, 1.2))

    @property
    def title(self):
        return f"one image with a layer of {size(self.images.size)}"


class FreshJob(Job):
    name = "fresh"
    contestants = (OURS, SKOPEO_LOOP, CRANE_LOOP)
    wanted = (Wanted(OURS, SKOPEO_LOOP, 3), Wanted(OURS, CRANE_LOOP, None))

    @property
    def title(self):
        return f"{self.images.count} small multi-arch images, all new"


class SignedJob(Job):
    """As FreshJob; we copy the signatures, too, which the loops leave out."""

    name = "signed"
    contestants = (OURS, OURS_SKIP, SKOPEO_LOOP)
    wanted = (Wanted(OURS, SKOPEO_LOOP, None), Wanted(OURS_SKIP, SKOPEO_LOOP, None))

    @property
    def title(self):
        return f"{self.images.count} such images, every second one signed"


class NothingJob(Job):
    name = "nothing"
    fresh = False
    contestants = (OURS_SKIP, OURS, SKOPEO_LOOP, CRANE_LOOP)
    wanted = (
        Wanted(OURS_SKIP, SKOPEO_LOOP, 20),
        Wanted(OURS, SKOPEO_LOOP, 8),
        Wanted(OURS, CRANE_LOOP, None),
    )

    @property
    def title(self):
        return f"the same {self.images.count} signed images, nothing to do"

    def verify(self, contestant, target):
        """The target was complete before; that no run broke it is checked once more at the end."""
        self.images.verify(target, companions=True)


JOBS = (LayerJob, FreshJob, SignedJob, NothingJob)


def size(number):
    """A number of bytes in the largest unit that divides it."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if number % unit == 0:
            return f"{number // unit} {name}"
    return f"{number} B"


class HugeImage:
    """One image whose only layer is a gzip file of about `size` bytes that do not compress.

    It is real gzip, because skopeo compresses what is not, and it is never in memory as a whole.
    """

    def __init__(self, size):
        self.size = size
        # Of the manifest and of the layer, once it is pushed; and the layer's exact size.
        self.digest = self.layer = self.compressed = None

    def push(self, source):
        client = source.client
        digest, compressed = hashlib.sha256(), 0
        diff = hashlib.sha256()
        for piece in self._layer(diff):
            digest.update(piece)
            compressed += len(piece)
        digest = f"sha256:{digest.hexdigest()}"
        client.upload_blob("bench/huge", digest, self._layer(hashlib.sha256()), compressed)
        config = json.dumps({
            "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff.hexdigest()}"]},
        }).encode()  # fmt: skip
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": OCI_CONFIG, "digest": client.push_blob("bench/huge", config), "size": len(config),
            },
            "layers": [{"mediaType": OCI_LAYER + "+gzip", "digest": digest, "size": compressed}],
        }).encode()  # fmt: skip
        self.layer, self.compressed = digest, compressed
        self.digest = client.push_manifest("bench/huge", "1", manifest, OCI_MANIFEST)

    def pairs(self, source_host, target_host):
        return [(f"{source_host}/bench/huge:1", f"{target_host}/mirror/huge:1")]

    def verify(self, target, companions):
        check_equal(target.client.digest("mirror/huge", "1"), self.digest, "the image's digest at the target")
        answer = target.client.request("HEAD", f"/v2/mirror/huge/blobs/{self.layer}")
        check_equal(answer.headers["Content-Length"], str(self.compressed), "the layer's size at the target")

    def _layer(self, diff):
        """The layer's bytes, a piece at a time: a tar with one file, in a gzip file of stored blocks."""
        entry = tarfile.TarInfo("opt/huge")
        entry.size = self.size
        entry.mode = 0o644
        # No time of day in the gzip header: the same size gives the same bytes, always.
        packer = zlib.compressobj(level=0, wbits=31)
        noise = random.Random("image-syncer bench")

        def plain():
            yield entry.tobuf(tarfile.GNU_FORMAT)
            for _ in range(self.size // PIECE):
                yield noise.randbytes(PIECE)
            yield bytes(tarfile.BLOCKSIZE * 2)

        for piece in plain():
            diff.update(piece)
            yield packer.compress(piece)
        yield packer.flush()


class SmallImages:
    """Images for two platforms each, on shared base layers; every second one can have a cosign signature tag.

    Per platform: a configuration, a base layer of 200 kB that others have too, two own layers of 30 kB.
    """

    def __init__(self, count, signed):
        self.count = count
        self.signed = signed
        self._roots = {}
        self._signatures = {}

    def push(self, source):
        bases = [{text: layer(f"bench base {number} {text}", 200_000) for text in PLATFORMS} for number in range(BASES)]

        def push_one(number):
            children = {
                text: image([
                    bases[number % BASES][text],
                    *(layer(f"bench {number} {text} {part}", 30_000) for part in range(2)),
                ], text)
                for text in PLATFORMS
            }  # fmt: skip
            root = multi_arch(children)
            root.push(source.client, f"bench/app{number:03}", "1.0")
            self._roots[number] = root.digest
            if self.signed and number % 2 == 0:
                signature = cosign_signature(root, str(number))
                signature.push(source.client, f"bench/app{number:03}", root.digest.replace(":", "-") + ".sig")
                self._signatures[number] = signature.digest

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(push_one, range(self.count)))

    def pairs(self, source_host, target_host):
        return [
            (f"{source_host}/bench/app{number:03}:1.0", f"{target_host}/mirror/app{number:03}:1.0")
            for number in range(self.count)
        ]

    def verify(self, target, companions):
        check(self._roots, "the source was not filled")
        for number, digest in self._roots.items():
            name = f"mirror/app{number:03}"
            check_equal(target.client.digest(name, "1.0"), digest, f"the digest of {name} at the target")
            if companions and number in self._signatures:
                tag = digest.replace(":", "-") + ".sig"
                check_equal(target.client.digest(name, tag), self._signatures[number], f"the signature of {name}")
