"""Blobs and manifests, made on the spot: the same arguments give the same bytes on every machine."""

import gzip
import hashlib
import io
import json
import random
import struct
import tarfile
from dataclasses import dataclass, field

from client import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, digest_of

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
IN_TOTO = "application/vnd.in-toto+json"

CREATED = "2024-01-02T03:04:05Z"


@dataclass(frozen=True)
class Blob:
    """Bytes with the media type and the other descriptor fields that manifests give them.

    `held` is false for a layer that only its `urls` have. `diff` is the digest of a layer's plain tar.
    """

    data: bytes
    media_type: str
    annotations: tuple = ()
    urls: tuple = ()
    held: bool = True
    diff: str = ""

    @property
    def digest(self):
        return digest_of(self.data)

    def descriptor(self):
        fields = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}
        if self.urls:
            fields["urls"] = list(self.urls)
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        return fields


@dataclass
class Manifest:
    """Raw manifest bytes, and what must be in a repository before they can be pushed there."""

    data: bytes
    media_type: str
    blobs: list = field(default_factory=list)
    children: list = field(default_factory=list)

    @property
    def digest(self):
        return digest_of(self.data)

    def descriptor(self, **extra):
        fields = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}
        return {**fields, **{name: value for name, value in extra.items() if value is not None}}

    def below(self):
        """This manifest and all children, of any depth."""
        yield self
        for child in self.children:
            yield from child.below()

    def push(self, client, repository, tag=None):
        """Pushes everything below this manifest, then the manifest itself, by tag or by digest."""
        for blob in self.blobs:
            if blob.held:
                client.push_blob(repository, blob.data)
        for child in self.children:
            child.push(client, repository)
        client.push_manifest(repository, tag or self.digest, self.data, self.media_type)


def noise(seed, size):
    """Bytes that do not compress, decided by `seed` alone."""
    return random.Random(f"image-syncer {seed}").randbytes(size)


def tar(files):
    """A tar archive with these files (path → bytes), owned by root and of a fixed time."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size = len(files[path])
            entry.mode = 0o644
            entry.mtime = 1700000000
            archive.addfile(entry, io.BytesIO(files[path]))
    return output.getvalue()


def zstd(data):
    """A zstd frame that holds `data` in raw blocks (RFC 8878, sections 3.1.1.1 and 3.1.1.2)."""
    single_segment_with_four_byte_size = 0xA0
    frame = bytearray(struct.pack("<IBI", 0xFD2FB528, single_segment_with_four_byte_size, len(data)))
    limit = 128 * 1024
    starts = range(0, len(data), limit) if data else [0]
    for start in starts:
        block = data[start : start + limit]
        last = 1 if start + limit >= len(data) else 0
        frame += struct.pack("<I", len(block) << 3 | last)[:3] + block
    return bytes(frame)


def layer(seed, size, compression="gzip", docker=False, **extra):
    """A file system layer with one file of `size` bytes of noise and a little text."""
    name = str(seed).replace(" ", "-")
    plain = tar({
        f"opt/{name}/data": noise(seed, size),
        f"opt/{name}/README": f"This is {seed}.\n".encode() * 20,
    })
    diff = digest_of(plain)
    if docker:
        media_type = DOCKER_FOREIGN_LAYER if extra.get("urls") else DOCKER_LAYER
        return Blob(gzip.compress(plain, 1, mtime=0), media_type, diff=diff, **extra)
    if compression == "zstd":
        return Blob(zstd(plain), OCI_LAYER + "+zstd", diff=diff, **extra)
    if compression == "none":
        return Blob(plain, OCI_LAYER, diff=diff, **extra)
    media_type = OCI_FOREIGN_LAYER if extra.get("urls") else OCI_LAYER + "+gzip"
    return Blob(gzip.compress(plain, 1, mtime=0), media_type, diff=diff, **extra)


def platform(text):
    """`linux/arm64/v8` as the fields of a descriptor's platform."""
    parts = text.split("/")
    fields = {"architecture": parts[1], "os": parts[0]}
    if len(parts) > 2:
        fields["variant"] = parts[2]
    return fields


def config(layers, platform_text="linux/amd64", media_type=OCI_CONFIG, **labels):
    """An image configuration for these layers."""
    fields = {
        **platform(platform_text),
        "created": CREATED,
        "config": {"Env": ["PATH=/usr/bin"], "Cmd": ["/bin/true"], "Labels": labels or None},
        "rootfs": {"type": "layers", "diff_ids": [each.diff or each.digest for each in layers]},
        "history": [{"created": CREATED, "created_by": f"layer {number}"} for number in range(len(layers))],
    }
    return Blob(json.dumps(fields).encode(), media_type)


def manifest(config_blob, layers, media_type=OCI_MANIFEST, write=json.dumps, **extra):
    """An image manifest. `extra` are further top-level fields; a value of None leaves the field out."""
    fields = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config_blob.descriptor(),
        "layers": [each.descriptor() for each in layers],
        **extra,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return Manifest(write(fields).encode(), media_type, [config_blob, *layers])


def image(layers, platform_text="linux/amd64", docker=False, **labels):
    """A runnable image, OCI or Docker schema 2."""
    kind = DOCKER_CONFIG if docker else OCI_CONFIG
    blob = config(layers, platform_text, kind, **labels)
    return manifest(blob, layers, DOCKER_MANIFEST if docker else OCI_MANIFEST)


def index(entries, media_type=OCI_INDEX, **extra):
    """An index. `entries` are pairs of a manifest and its descriptor's further fields."""
    fields = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [child.descriptor(**more) for child, more in entries],
        **extra,
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    return Manifest(json.dumps(fields, indent=3).encode(), media_type, [], [child for child, _ in entries])


def multi_arch(by_platform, docker=False, **extra):
    """An index or a manifest list from platform text → image."""
    entries = [(child, {"platform": platform(text)}) for text, child in by_platform.items()]
    return index(entries, DOCKER_LIST if docker else OCI_INDEX, **extra)


def artifact(artifact_type, blobs=(), subject=None, annotations=None):
    """An artifact with the empty config, as the image specification's guidelines have it."""
    empty = Blob(b"{}", OCI_EMPTY)
    layers = list(blobs) or [empty]
    return manifest(
        empty,
        layers,
        artifactType=artifact_type,
        subject=subject.descriptor() if subject else None,
        annotations=annotations,
    )


def buildx_index(by_platform):
    """An index as buildx writes it: each image is followed by its attestation manifest."""
    entries = [(child, {"platform": platform(text)}) for text, child in by_platform.items()]
    for child in by_platform.values():
        statement = json.dumps({
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": "https://spdx.dev/Document",
            "subject": [{"name": "image", "digest": {"sha256": child.digest[7:]}}],
            "predicate": {"spdxVersion": "SPDX-2.3"},
        }).encode()
        blob = Blob(statement, IN_TOTO, (("in-toto.io/predicate-type", "https://spdx.dev/Document"),))
        attestation = manifest(config([blob], "unknown/unknown"), [blob])
        entries.append((attestation, {
            "platform": platform("unknown/unknown"),
            "annotations": {
                "vnd.docker.reference.digest": child.digest,
                "vnd.docker.reference.type": "attestation-manifest",
            },
        }))
    return index(entries)


def cosign_signature(subject, seed):
    """A manifest as cosign stores it under a .sig tag; the signature in it is noise."""
    payload = json.dumps({
        "critical": {
            "identity": {"docker-reference": ""},
            "image": {"docker-manifest-digest": subject.digest},
            "type": "cosign container image signature",
        },
        "optional": {"seed": seed},
    }).encode()
    signature = hashlib.sha256(payload).hexdigest()
    blob = Blob(
        payload,
        "application/vnd.dev.cosign.simplesigning.v1+json",
        (("dev.cosignproject.cosign/signature", signature),),
    )
    return manifest(config([blob]), [blob])


def cosign_attestation(subject, seed):
    """A manifest as cosign stores it under an .att tag."""
    envelope = json.dumps({"payloadType": IN_TOTO, "payload": seed, "subject": subject.digest}).encode()
    blob = Blob(
        envelope,
        "application/vnd.dsse.envelope.v1+json",
        (("dev.cosignproject.cosign/signature", ""), ("predicateType", "https://spdx.dev/Document")),
    )
    return manifest(config([blob]), [blob])


def cosign_sbom(subject):
    """A manifest as cosign stores it under an .sbom tag."""
    blob = Blob(f"SPDXVersion: SPDX-2.3\nSubject: {subject.digest}\n".encode(), "text/spdx")
    return manifest(config([blob]), [blob])
