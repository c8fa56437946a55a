"""Peak memory with default options, as GNU time measures it: one huge layer, and a list of 500 images."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

from client import OCI_MANIFEST, digest_of
from content import OCI_CONFIG, OCI_LAYER, image, layer, noise
from harness import check, check_equal
from registries import DockerRegistry, Zot
from syncer import Syncer, check_outcomes

PAIRS = ((DockerRegistry, Zot), (Zot, DockerRegistry))
CASES = 3 * len(PAIRS)
LIMIT_KIB = 64 * 1024
LAYER_BYTES = 2 * 1024**3
IMAGES = 500
PIECE = 1024 * 1024


def run(book, workplace):
    for of_source, of_target in PAIRS:
        book.group(f"memory {of_source.kind} → {of_target.kind}")
        memory = Memory(workplace)
        with of_source(workplace) as source, of_target(workplace) as target:
            book.case("one image with a layer of 2 GiB stays under 64 MiB", memory.huge_layer, source, target)
            book.case("500 images in one list stay under 64 MiB", memory.many_images, source, target)
            book.case("the same list with nothing to do stays under 64 MiB", memory.nothing_to_do, source, target)


class Memory:
    """Runs a sync under GNU time."""

    def __init__(self, workplace):
        self.workplace = workplace
        self.syncer = Syncer(workplace)
        self.files = None

    def peak(self, files, source, target, repositories, outcome):
        """The peak resident memory of a sync, in KiB; the outcomes are checked as well."""
        folder = self.workplace.fresh_folder("memory")
        prefix = f"{target.host}/mirror/"
        command = self.syncer.command(files, prefix, "--report", str(folder / "report.json"))
        self.workplace.run(["/usr/bin/time", "-f", "%M %e", "-o", folder / "time", *command], timeout=900)
        items = json.loads((folder / "report.json").read_text())["items"]
        host = source.host.replace(":", "_")
        check_outcomes(
            {item["target"]: item["outcome"] for item in items},
            [f"{prefix}{host}/{repository}:1" for repository in repositories],
            outcome,
        )
        peak, seconds = (folder / "time").read_text().split()[-2:]
        check(int(peak) < LIMIT_KIB, f"peak memory {int(peak) / 1024:.1f} MiB, the limit is 64 MiB")
        return f"{int(peak) / 1024:.1f} MiB, {float(seconds):.1f} s"

    def huge_layer(self, source, target):
        digest = hashlib.sha256()
        for piece in _pieces():
            digest.update(piece)
        digest = "sha256:" + digest.hexdigest()
        source.client.upload_blob("memory/huge", digest, _pieces(), LAYER_BYTES)
        config = json.dumps({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest]},
        }).encode()  # fmt: skip
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": OCI_CONFIG, "digest": source.client.push_blob("memory/huge", config),
                "size": len(config),
            },
            "layers": [{"mediaType": OCI_LAYER, "digest": digest, "size": LAYER_BYTES}],
        }).encode()  # fmt: skip
        source.client.push_manifest("memory/huge", "1", manifest, OCI_MANIFEST)
        files = self.syncer.write_lists([f'  - source: "{source.host}/memory/huge:1"\n'])
        measured = self.peak(files, source, target, ["memory/huge"], "copied")
        name = f"mirror/{source.host.replace(':', '_')}/memory/huge"
        check_equal(target.client.digest(name, "1"), digest_of(manifest), "digest at the target")
        answer = target.client.request("HEAD", f"/v2/{name}/blobs/{digest}")
        check_equal(answer.headers["Content-Length"], str(LAYER_BYTES), "size of the layer at the target")
        return measured

    def _repositories(self):
        return [f"memory/many/app{number:03}" for number in range(IMAGES)]

    def many_images(self, source, target):
        bases = [layer(f"memory base {number}", 50_000) for number in range(10)]

        def push(number):
            made = image([bases[number % 10], layer(f"memory {number}", 2_000)])
            made.push(source.client, self._repositories()[number], "1")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(push, range(IMAGES)))
        self.files = self.syncer.write_lists([
            f'  - source: "{source.host}/{repository}:1"\n' for repository in self._repositories()
        ])
        return self.peak(self.files, source, target, self._repositories(), "copied")

    def nothing_to_do(self, source, target):
        check(self.files, "the list was not made")
        return self.peak(self.files, source, target, self._repositories(), "up-to-date")


def _pieces():
    """The layer's bytes, a piece at a time: noise, and a count so that no two pieces are equal."""
    body = noise("huge layer", PIECE - 8)
    for number in range(LAYER_BYTES // PIECE):
        yield number.to_bytes(8, "big") + body
