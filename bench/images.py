"""The images of the workloads: the same arguments give the same bytes on every machine.

What a workload copies is pushed to a source, named in pairs of references, and looked for at the target.
"""

import hashlib
import json
import random
import tarfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from client import OCI_MANIFEST
from content import OCI_CONFIG, OCI_LAYER, Blob, artifact, cosign_signature, image, layer, multi_arch

PIECE = 1024 * 1024
# Repositories at the target are those of the source below this.
PREFIX = "mirror"
PLATFORMS = (
    "linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6",
    "linux/386", "linux/ppc64le", "linux/s390x", "linux/riscv64",
)  # fmt: skip
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class LeftOut:
    """How much of a workload's content the target lacks."""

    images: int = 0
    signature_tags: int = 0
    referrers: int = 0

    def __str__(self):
        names = (("images", "images"), ("signature_tags", "signature tags"), ("referrers", "referrers"))
        return ", ".join(f"{getattr(self, key)} {name}" for key, name in names if getattr(self, key)) or "–"


@dataclass
class Image:
    """A tag, and its companions as pairs of a tag (None for a referrer) and a manifest."""

    repository: str
    tag: str
    root: object
    companions: list = field(default_factory=list)

    def push(self, client):
        self.root.push(client, self.repository, self.tag)
        for tag, companion in self.companions:
            companion.push(client, self.repository, tag)


class Images:
    """Images that fit into memory."""

    def __init__(self, images):
        self.images = list(images)

    def __len__(self):
        return len(self.images)

    def first(self, count):
        """Only the first ones, for a trial."""
        return Images(self.images[:count])

    def push(self, client):
        """Fills a source. Images of a repository are pushed one after the other."""
        repositories = {}
        for each in self.images:
            repositories.setdefault(each.repository, []).append(each)

        def push_all(images):
            for each in images:
                each.push(client)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(push_all, repositories.values()))

    def pairs(self, source_host, target_host):
        """References at source and target."""
        return [
            (f"{source_host}/{each.repository}:{each.tag}", f"{target_host}/{PREFIX}/{each.repository}:{each.tag}")
            for each in self.images
        ]

    def left_out(self, client):
        """What the target lacks; an image counts only with all manifests and blobs below it."""
        with ThreadPoolExecutor(4) as pool:
            lacks = list(pool.map(lambda each: _lacks(client, each), self.images))
        return LeftOut(*(sum(column) for column in zip(*lacks, strict=True)))


def _lacks(client, wanted):
    """Of one image: whether it, and how many signature tags and referrers, are not at the target."""
    repository = f"{PREFIX}/{wanted.repository}"
    image_lacks = client.digest(repository, wanted.tag) != wanted.root.digest or not _whole(
        client, repository, wanted.root
    )
    tags = referrers = 0
    found = None
    for tag, companion in wanted.companions:
        if tag is None and found is None:
            found = {each["digest"] for each in client.referrers(repository, wanted.root.digest)}
        present = companion.digest in found if tag is None else client.digest(repository, tag) == companion.digest
        if not present or not _whole(client, repository, companion):
            if tag is None:
                referrers += 1
            else:
                tags += 1
    return int(image_lacks), tags, referrers


def _whole(client, repository, root):
    """Whether a manifest and all below it are there, each manifest with its own bytes."""
    return all(
        client.manifest(repository, each.digest) is not None
        and all(client.has_blob(repository, blob.digest) for blob in each.blobs)
        for each in root.below()
    )


def tags_of_many_platforms(count, platforms):
    """Tags with as many platforms, ten a repository; each has a signature, as a cosign tag or as a referrer."""
    base = layer("bench base", 2_000)

    def root(number):
        return multi_arch({
            text: image([base, layer(f"bench {number} {text}", 500)], text) for text in PLATFORMS[:platforms]
        })

    return Images(
        _signed(Image(f"bench/many{number // 10:03}", f"1.{number % 10}", root(number)), number)
        for number in range(count)
    )


def shared_bases(repositories):
    """An image a repository, for two platforms; per platform 4 base layers of 1 MB that each fifth one shares."""
    bases = {
        (number, text): [layer(f"bench base {number} {text} {part}", 1_000_000) for part in range(4)]
        for number in range(min(5, (repositories + 1) // 2))
        for text in PLATFORMS[:2]
    }
    families = max(number for number, _ in bases) + 1

    def root(number):
        return multi_arch({
            text: image([
                *bases[number % families, text],
                *(layer(f"bench shared {number} {text} {part}", 100_000) for part in range(2)),
            ], text)
            for text in PLATFORMS[:2]
        })  # fmt: skip

    return Images(Image(f"bench/shared{number:03}", "1.0", root(number)) for number in range(repositories))


def small_signed(count):
    """An image a repository, of one platform; a base layer of 50 kB that each tenth one shares, and 10 kB."""
    bases = [layer(f"bench base {number}", 50_000) for number in range(10)]
    return Images(
        _signed(
            Image(f"bench/small{number:03}", "1.0", image([bases[number % 10], layer(f"bench {number}", 10_000)])),
            number,
        )
        for number in range(count)
    )


def _signed(unsigned, number):
    """By turns with a signature tag and with a referrer."""
    root = unsigned.root
    if number % 2 == 0:
        unsigned.companions = [(root.digest.replace(":", "-") + ".sig", cosign_signature(root, str(number)))]
    else:
        bundle = Blob(json.dumps({"mediaType": BUNDLE, "seed": number}).encode(), BUNDLE)
        unsigned.companions = [(None, artifact(BUNDLE, [bundle], root))]
    return unsigned


class HugeImage:
    """One image whose only layer is a gzip file of about `size` bytes that do not compress.

    It is real gzip, because skopeo compresses what is not, and it is never in memory as a whole.
    """

    def __init__(self, size):
        self.size = size
        # Of the manifest and of the layer, once it is pushed; and the layer's exact size.
        self.digest = self.layer = self.compressed = None

    def __len__(self):
        return 1

    def push(self, client):
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
        return [(f"{source_host}/bench/huge:1", f"{target_host}/{PREFIX}/bench/huge:1")]

    def left_out(self, client):
        """The registry has checked the layer's digest when it took it."""
        repository = f"{PREFIX}/bench/huge"
        layer_at_target = client.request("HEAD", f"/v2/{repository}/blobs/{self.layer}")
        whole = (
            client.digest(repository, "1") == self.digest
            and layer_at_target.headers["Content-Length"] == str(self.compressed)
        )
        return LeftOut(images=0 if whole else 1)

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
