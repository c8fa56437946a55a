"""Real Debian root file systems: bootstrapped, mirrored over two hops, unpacked at the end, compared.

The file systems are cached in the tools folder, since making them is the longest part.
"""

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

from client import OCI_MANIFEST, digest_of
from content import CREATED, OCI_CONFIG, OCI_LAYER
from harness import check, check_equal
from registries import DockerRegistry, Zot
from syncer import Syncer, check_outcomes

CASES = 11
SUITES = ("bookworm", "trixie")
PACKAGES = ("ca-certificates", "git", "perl", "python3-minimal")
LAYERS = ("base", "packages")
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "rootfs"


def run(book, workplace):
    book.group("Debian")
    debian = Debian(workplace)
    for suite in SUITES:
        book.case(f"{suite}: bootstrap two layers", debian.bootstrap, suite)
    with DockerRegistry(workplace) as first, Zot(workplace) as second, DockerRegistry(workplace) as third:
        book.case("push to the source", debian.push, first)
        book.case("sync from docker-registry to zot", debian.sync, first, second, "")
        book.case("sync on from zot to docker-registry", debian.sync, second, third, debian.path(first))
        for suite in SUITES:
            book.case(f"{suite}: whole and equal after both hops", debian.equal, suite, first, second, third)
            layout = workplace.fresh_folder("debian") / "layout"
            book.case(f"{suite}: skopeo copies it to a layout", debian.copy, suite, second, third, layout)
            book.case(f"{suite}: umoci unpacks the same files", debian.unpack, suite, layout)


class Debian:
    """The images of both suites, and where they are."""

    def __init__(self, workplace):
        self.workplace = workplace
        self.cache = workplace.tools / "rootfs"
        self.digests = {}

    def path(self, source):
        """What a hop puts before the repository's name."""
        return f"mirror/{source.host.replace(':', '_')}/"

    def layer(self, suite, name):
        return self.cache / suite / f"{name}.tar"

    def bootstrap(self, suite):
        self.workplace.run([SCRIPT, suite, self.cache / suite, *PACKAGES], timeout=1200)
        for name in LAYERS:
            packed = self.layer(suite, name).with_suffix(".tar.gz")
            if not packed.exists():
                partial = packed.with_suffix(".new")
                self.workplace.run(
                    ["sh", "-c", 'gzip -1 -n -c "$1" >"$2"', "gzip", self.layer(suite, name), partial], timeout=300
                )
                partial.rename(packed)
        sizes = [self.layer(suite, name).stat().st_size for name in LAYERS]
        check(sum(sizes) > 200_000_000, f"a root file system of {sum(sizes)} bytes is no real one")
        check(min(sizes) > 1_000_000, f"layers of {sizes} bytes")
        return " + ".join(f"{size / 1e6:.0f} MB" for size in sizes)

    def push(self, registry):
        for suite in SUITES:
            repository = f"debian/{suite}"
            descriptors, diffs = [], []
            for name in LAYERS:
                packed = self.layer(suite, name).with_suffix(".tar.gz")
                digest = _file_digest(packed)
                with open(packed, "rb") as body:
                    registry.client.upload_blob(repository, digest, body, packed.stat().st_size)
                descriptors.append(
                    {"mediaType": OCI_LAYER + "+gzip", "digest": digest, "size": packed.stat().st_size}
                )
                diffs.append(_file_digest(self.layer(suite, name)))
            config = json.dumps({
                "architecture": "amd64", "os": "linux", "created": CREATED, "config": {"Cmd": ["/bin/bash"]},
                "rootfs": {"type": "layers", "diff_ids": diffs},
                "history": [{"created": CREATED, "created_by": name} for name in LAYERS],
            }).encode()  # fmt: skip
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": {
                    "mediaType": OCI_CONFIG, "digest": registry.client.push_blob(repository, config),
                    "size": len(config),
                },
                "layers": descriptors,
            }).encode()  # fmt: skip
            registry.client.push_manifest(repository, "1", manifest, OCI_MANIFEST)
            self.digests[suite] = digest_of(manifest)

    def sync(self, source, target, path):
        syncer = Syncer(self.workplace)
        names = [f"{source.host}/{path}debian/{suite}:1" for suite in SUITES]
        files = syncer.write_lists([f'  - source: "{name}"\n' for name in names])
        outcomes = syncer.sync(files, f"{target.host}/mirror/", timeout=600)
        host = source.host.replace(":", "_")
        targets = [f"{target.host}/mirror/{host}/{path}debian/{suite}:1" for suite in SUITES]
        check_outcomes(outcomes, targets, "copied")

    def reference(self, suite, first, second):
        """The repository after both hops."""
        return f"{self.path(second)}{self.path(first)}debian/{suite}"

    def equal(self, suite, first, second, third):
        graph = third.client.graph(self.reference(suite, first, second), "1")
        check_equal(graph.root, self.digests[suite], "digest after both hops")
        check_equal(len(graph.blobs), 3, "config and layers after both hops")

    def copy(self, suite, second, third, layout):
        first = next(name for name in third.client.catalog() if name.endswith(f"debian/{suite}"))
        self.workplace.run([
            "skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests", "--src-tls-verify=false",
            f"docker://{third.host}/{first}:1", f"oci:{layout}:{suite}",
        ], timeout=300)  # fmt: skip

    def unpack(self, suite, layout):
        bundle = self.workplace.fresh_folder("bundle") / "bundle"
        expected = self.workplace.fresh_folder("expected")
        try:
            self.workplace.run(["umoci", "unpack", "--image", f"{layout}:{suite}", bundle], timeout=300)
            for name in LAYERS:
                self.workplace.run([
                    "tar", "-C", expected, "--numeric-owner", "--same-owner", "-xpf", self.layer(suite, name),
                ], timeout=300)  # fmt: skip
            found = _tree(bundle / "rootfs")
            wanted = _tree(expected)
            differing = sorted(
                path for path in {*found, *wanted} if found.get(path) != wanted.get(path)
            )
            examples = [(path, wanted.get(path), found.get(path)) for path in differing[:5]]
            check(not differing, f"{len(differing)} paths differ: {examples}")
            check(len(found) > 5000, f"only {len(found)} files were unpacked")
            os.mknod(bundle / "rootfs" / "dev" / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            said = self.workplace.run(["chroot", bundle / "rootfs", "/usr/bin/perl", "-e", "print 6 * 7"])
            check_equal(said.text, "42", "what a program of the second layer said")
            return f"{len(found)} files"
        finally:
            shutil.rmtree(bundle.parent, ignore_errors=True)
            shutil.rmtree(expected, ignore_errors=True)


def _file_digest(path):
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _tree(root):
    """Path → all that a layer carries: type, mode, owner, and the content of files and links."""
    entries = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            state = path.lstat()
            content = ""
            if stat.S_ISLNK(state.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(state.st_mode):
                content = _file_digest(path)
            entries[str(path.relative_to(root))] = (oct(state.st_mode), state.st_uid, state.st_gid, content)
    return entries
