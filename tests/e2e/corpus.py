"""The images that the cases mirror: every kind of content that real registries hold.

The corpus is data; `Corpus.push` puts it into a registry. Signatures by the real cosign are added there,
since cosign signs what a registry holds.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from content import (
    Blob,
    artifact,
    buildx_index,
    config,
    cosign_attestation,
    cosign_sbom,
    cosign_signature,
    image,
    index,
    layer,
    manifest,
    multi_arch,
    noise,
    platform,
)
from harness import check

SPDX = "application/spdx+json"
NOTARY = "application/vnd.cncf.notary.signature"


@dataclass
class Image:
    """One entry of the list.

    `written` is how the list names it: "tag", "digest" (with the key `tag`) or "both". `companions` are
    pairs of a tag (None for a referrer) and a manifest. `cosign` says how the real cosign signs it, and
    `unreadable` names the tools that cannot copy it whole, with the reason.
    """

    repository: str
    tag: str
    root: object
    companions: list = field(default_factory=list)
    written: str = "tag"
    cosign: tuple = ()
    unreadable: dict = field(default_factory=dict)

    @property
    def name(self):
        return f"{self.repository}:{self.tag}"

    def target(self, source_host):
        """Repository and tag at the target, below the prefix."""
        return f"{source_host.replace(':', '_')}/{self.repository}", self.tag

    def entry(self, source_host):
        """The lines of external-images.yaml for this image."""
        name = f"{source_host}/{self.repository}"
        if self.written == "digest":
            return f'  - source: "{name}@{self.root.digest}"\n    tag: "{self.tag}"\n'
        if self.written == "both":
            return f'  - source: "{name}:{self.tag}@{self.root.digest}"\n'
        return f'  - source: "{name}:{self.tag}"\n'


class Corpus:
    """All images, and the number of them that a run must have seen."""

    EXPECTED = 82
    HELD_AT_LEAST = 60

    def __init__(self, unused_url):
        """`unused_url` is the address of non-distributable layers: nobody may ever ask there."""
        self.images = list(_images(unused_url))
        check(
            len(self.images) == self.EXPECTED,
            f"the corpus has {len(self.images)} images, {self.EXPECTED} are expected",
        )
        names = [each.name for each in self.images]
        check(len(set(names)) == len(names), "two images of the corpus have the same name")

    def held_by(self, *registries):
        """The images that all these registries take: at least 60."""
        held = [each for each in self.images if not any(registry.refuses(each) for registry in registries)]
        check(len(held) >= self.HELD_AT_LEAST, f"only {len(held)} images are taken")
        return held

    def push(self, registry, signer):
        """Fills a registry with what it takes of the corpus, and signs what is to be signed."""
        by_repository = {}
        held = self.held_by(registry)
        for each in held:
            by_repository.setdefault(each.repository, []).append(each)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda images: _push_images(registry.client, images), by_repository.values()))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: signer.sign(registry, each), held))


def _push_images(client, images):
    for each in images:
        each.root.push(client, each.repository, each.tag)
        for tag, companion in each.companions:
            companion.push(client, each.repository, tag)
    client.close()


def with_referrers(images):
    """The images for which referrers are expected at image or children."""
    return [
        each for each in images if any(tag is None for tag, _ in each.companions) or "bundle" in each.cosign
    ]


def signed(images, form):
    """The images that the real cosign signs in this form: "tag", "bundle" or "attestation"."""
    return [each for each in images if form in each.cosign]


def external_images(entries):
    """The text of an external-images.yaml with these entries."""
    return "images:\n" + "".join(entries)


def _images(unused_url):
    bases = [layer(f"base {number}", (number + 1) * 400_000) for number in range(4)]
    docker_bases = [layer(f"base {number}", (number + 1) * 400_000, docker=True) for number in range(4)]

    def small(seed, **options):
        return layer(seed, 20_000, **options)

    def oci(seed, text="linux/amd64", base=0):
        return image([bases[base], small(f"{seed} {text}")], text)

    def docker(seed, text="linux/amd64", base=0):
        return image([docker_bases[base], small(f"{seed} {text}", docker=True)], text, docker=True)

    def multi(seed, *texts, base=0):
        return multi_arch({text: oci(seed, text, base) for text in texts})

    two = ("linux/amd64", "linux/arm64")

    # Single images that share base layers.
    for number in range(8):
        yield Image(f"single/app{number}", "1.0", oci(f"single {number}", base=number % 4))
    for number in range(6):
        yield Image(f"docker/app{number}", "2.0", docker(f"docker {number}", base=number % 4))

    # Multi-arch images in both vocabularies.
    for number, texts in enumerate((
        two,
        ("linux/amd64", "linux/arm64/v8", "linux/arm/v7"),
        ("linux/amd64", "linux/386", "linux/s390x", "linux/ppc64le"),
        ("linux/arm64", "windows/amd64"),
        ("linux/amd64",),
        two,
    )):
        yield Image(f"multi/app{number}", "3", multi(f"multi {number}", *texts, base=number % 4))
    for number, texts in enumerate((two, ("linux/amd64", "linux/arm/v6", "linux/arm/v7"), ("linux/amd64",), two, two)):
        children = {text: docker(f"list {number}", text, number % 4) for text in texts}
        yield Image(f"list/app{number}", "v4.0.0", multi_arch(children, docker=True))

    # Indexes in indexes, and both vocabularies in one.
    inner = multi("nested inner", *two)
    nested = {"skopeo": "skopeo 1.9 copies no index within an index"}
    yield Image("nested/two", "1", index([(inner, {})]), unreadable=nested)
    yield Image("nested/three", "1", index([(index([(inner, {})]), {})]), unreadable=nested)
    yield Image(
        "nested/beside", "1",
        index([(inner, {}), (oci("nested beside"), {"platform": platform("linux/amd64")})]),
        unreadable=nested,
    )
    yield Image("mixed/index", "1", multi_arch({two[0]: oci("mixed"), two[1]: docker("mixed", two[1])}))
    yield Image("mixed/list", "1", multi_arch({two[0]: docker("mixed"), two[1]: oci("mixed", two[1])}, docker=True))

    # What buildx writes.
    for number, texts in enumerate((two[:1], two, two, ("linux/amd64", "linux/arm64", "linux/riscv64"))):
        children = {text: oci(f"buildx {number}", text, number) for text in texts}
        yield Image(f"buildx/app{number}", "latest", buildx_index(children))

    # Artifacts.
    yield Image("artifact/empty", "1", artifact("application/vnd.example.nothing"))
    yield Image("artifact/sbom", "1", artifact(SPDX, [Blob(b'{"spdxVersion":"SPDX-2.3"}', SPDX)]))
    yield Image(
        "artifact/model", "q4",
        artifact("application/vnd.example.model", [
            Blob(noise("weights", 3_000_000), "application/vnd.example.weights", (("title", "weights.bin"),)),
            Blob(noise("tokens", 50_000), "application/vnd.example.tokens"),
        ]),
    )
    yield Image("artifact/index", "1", index(
        [(artifact("application/vnd.example.nothing"), {"artifactType": "application/vnd.example.nothing"})],
        artifactType="application/vnd.example.set", annotations={"org.example.set": "yes"},
    ), unreadable={"skopeo": "skopeo 1.9 would rewrite an index of artifacts"})
    helm_config = Blob(
        b'{"name":"chart","version":"1.2.3","apiVersion":"v2"}', "application/vnd.cncf.helm.config.v1+json"
    )
    chart = Blob(small("chart").data, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
    provenance = Blob(b"-----BEGIN PGP SIGNED MESSAGE-----\n", "application/vnd.cncf.helm.chart.provenance.v1.prov")
    yield Image("charts/plain", "1.2.3", manifest(helm_config, [chart], annotations={"created": "x"}))
    yield Image("charts/signed", "1.2.3", manifest(helm_config, [chart, provenance]))

    # Layers of all kinds.
    yield Image("layers/zstd", "1", image([layer("zstd base", 500_000, "zstd"), small("zstd", compression="zstd")]))
    yield Image("layers/zstd-index", "1", multi_arch({
        text: image([bases[1], small(f"zstd {text}", compression="zstd")], text) for text in two
    }))
    yield Image("layers/tar", "1", image([layer("plain base", 300_000, "none"), small("plain")]))
    yield Image("layers/none", "1", manifest(config([]), []))
    yield Image("layers/many", "1", image([layer(f"many {number}", 500) for number in range(45)]))
    yield Image("layers/repeated", "1", image([bases[0], small("twice"), small("twice"), bases[0]]))
    yield Image("layers/large", "1", image([bases[3], layer("large", 24_000_000)]))
    odd = Blob(noise("odd", 5_000), "application/vnd.example.layer.v7+odd")
    yield Image("layers/unknown", "1", manifest(config([odd]), [odd]))
    yield Image("layers/unknown-child", "1", index([
        (oci("unknown child"), {"platform": platform("linux/amd64")}),
        (manifest(config([odd], "linux/arm64"), [odd]), {"platform": platform("linux/arm64")}),
    ]))
    urls = (f"{unused_url}/layer",)
    yield Image("foreign/held", "1", image([bases[0], small("foreign held", urls=urls)]))
    yield Image(
        "foreign/absent", "1",
        image([small("foreign absent", urls=urls, held=False), bases[0]], "windows/amd64"),
        unreadable=dict.fromkeys(("skopeo", "crane", "regctl"), "the registry does not have the layer"),
    )
    yield Image(
        "foreign/docker", "1",
        image([small("foreign docker", docker=True, urls=urls), docker_bases[0]], docker=True),
    )

    # The same content in several places.
    shared = oci("shared")
    yield Image("shared/one", "a", multi_arch({two[0]: shared, two[1]: oci("shared a", two[1])}))
    yield Image("shared/one", "b", multi_arch({two[0]: shared, two[1]: oci("shared b", two[1])}))
    yield Image("shared/two", "a", multi_arch({two[0]: shared, two[1]: oci("shared c", two[1])}))
    same = oci("same")
    for tag in ("1", "1.0", "latest"):
        yield Image("same/app", tag, same)
    yield Image("same/other", "1", same)

    # How lists name images.
    yield Image("named/by-digest", "1.32.0-v1", oci("by digest"), written="digest")
    yield Image("named/by-both", "1.4.2", multi("by both", *two), written="both")
    yield Image("named/1/2/3/4/deep_path", "T" + "a-b_c." * 21 + "1", oci("deep"))

    # Bytes that a parser and a writer would not give back.
    def spaced(fields):
        return "\n" + json.dumps(fields, indent=7, sort_keys=True) + " \n\n"

    extra = {"unknownField": {"b": 1, "a": [1.0, 1e3, None]}, "annotations": {"uml": "ä\u2028", "empty": ""}}
    body = [bases[2], small("bytes")]
    yield Image("bytes/spaced", "1", manifest(config(body), body, write=spaced, **extra))
    untyped = manifest(config(body), body, zzz="last")
    untyped.data = json.dumps({
        name: value for name, value in json.loads(untyped.data).items() if name != "mediaType"
    }).encode()
    yield Image("bytes/untyped", "1", untyped)

    # cosign's tags, made by hand.
    root = oci("tags sig")
    yield Image("tags/sig", "1", root, [(_tag(root, ".sig"), cosign_signature(root, "1"))])
    root = multi("tags all", *two)
    yield Image("tags/all", "1", root, [
        (_tag(root, ".sig"), cosign_signature(root, "1")),
        (_tag(root, ".att"), cosign_attestation(root, "1")),
        (_tag(root, ".sbom"), cosign_sbom(root)),
    ])
    root = multi("tags child", *two)
    yield Image("tags/child", "1", root, [
        (_tag(child, suffix), make(child))
        for child in root.children
        for suffix, make in ((".sig", lambda each: cosign_signature(each, "c")), (".sbom", cosign_sbom))
    ])

    # Referrers.
    root = oci("refs sbom")
    yield Image("refs/sbom", "1", root, [(None, _sbom(root))])
    root = docker("refs docker")
    yield Image("refs/docker", "1", root, [(None, _sbom(root)), (None, _signature(root))])
    root = oci("refs many")
    many = [_signature(root, str(number)) for number in range(25)]
    yield Image("refs/many", "1", root, [(None, each) for each in many])
    root = oci("refs chain")
    sbom = _sbom(root)
    signature = _signature(sbom)
    yield Image("refs/chain", "1", root, [
        (None, sbom), (None, signature), (None, _signature(signature, "of a signature")),
    ])
    root = multi("refs children", *two)
    yield Image("refs/children", "1", root, [
        (None, _sbom(root)), *((None, _signature(child)) for child in root.children),
    ])
    root = oci("refs index")
    entries = [(artifact(SPDX, [Blob(f"part {part}".encode(), SPDX)]), {}) for part in range(2)]
    yield Image("refs/index", "1", root, [
        (None, index(entries, artifactType="application/vnd.example.set", subject=root.descriptor())),
    ])
    root = oci("refs image")
    layers = [small("debug symbols")]
    yield Image("refs/image", "1", root, [
        (None, manifest(config(layers), layers, subject=root.descriptor())),
    ])
    root = artifact("application/vnd.example.thing", [Blob(b"thing", "application/vnd.example.thing")])
    yield Image("refs/artifact", "1", root, [(None, _signature(root))])

    # Signed by the real cosign.
    yield Image("signed/tag", "1", oci("signed tag"), cosign=("tag",))
    yield Image("signed/tag-index", "1", multi("signed tag index", *two), cosign=("tag",))
    yield Image("signed/docker", "1", docker("signed docker"), cosign=("tag", "bundle"))
    yield Image("signed/bundle", "1", oci("signed bundle"), cosign=("bundle",))
    yield Image("signed/bundle-index", "1", multi("signed bundle index", *two), cosign=("bundle",))
    root = buildx_index({text: oci("signed buildx", text) for text in two})
    yield Image("signed/buildx", "1", root, cosign=("bundle",))
    yield Image("signed/attested", "1", oci("signed attested"), cosign=("tag", "bundle", "attestation"))


def _tag(subject, suffix):
    return subject.digest.replace(":", "-") + suffix


def _sbom(subject):
    document = json.dumps({"spdxVersion": "SPDX-2.3", "name": subject.digest}).encode()
    return artifact(SPDX, [Blob(document, SPDX)], subject, {"org.opencontainers.image.created": "2024-01-02T03:04:05Z"})


def _signature(subject, seed=""):
    blob = Blob(f"signature {seed} of {subject.digest}".encode(), "application/jose+json")
    return artifact(NOTARY, [blob], subject, {"io.cncf.notary.x509chain.thumbprint#S256": "[]"})
