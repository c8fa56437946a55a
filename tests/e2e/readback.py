"""Reading a mirrored image back with the programs that its users have: skopeo, crane, regctl, oras, and
with oci-client, by the program examples/oci-client-pull.rs.

Each reader takes the whole image from the target, children and blobs, and compares the manifest's bytes.
"""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

from client import digest_of
from harness import Failure, check, check_equal

WORKERS = 3


class Readers:
    """The peers' programs, as readers of a registry."""

    def __init__(self, workplace, environment=None):
        self._workplace = workplace
        self._environment = environment

    def prepare(self, registry, authority=None, client=None):
        """Tells regctl, which has no flags for it, that this registry speaks plain HTTP, or whom to trust and show."""
        how = ["--tls", "disabled"]
        if authority:
            how = ["--tls", "enabled", "--cacert", authority.read_text()]
        if client:
            how += ["--client-cert", client.certificate.read_text(), "--client-key", client.key.read_text()]
        self._run("regctl", "registry", "set", *how, registry.host)

    def read_all(self, tool, images, reference_of):
        """Reads every image with one tool; all failures are told together."""
        read = getattr(self, tool)

        def attempt(image):
            folder = self._workplace.fresh_folder(tool)
            try:
                read(reference_of(image), image, folder, tool not in image.unreadable)
                return None
            except Failure as failure:
                return f"{image.name}: {failure}"
            finally:
                shutil.rmtree(folder)

        with ThreadPoolExecutor(WORKERS) as pool:
            failures = [failure for failure in pool.map(attempt, images) if failure]
        check(not failures, f"{len(failures)} of {len(images)} images:\n" + "\n".join(failures[:10]))
        partly = sum(1 for image in images if tool in image.unreadable)
        return f"{len(images)} images" + (f", of {partly} the manifest only" if partly else "")

    def skopeo(self, reference, image, folder, whole):
        raw = self._run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}").output
        check_equal(raw, image.root.data, f"skopeo inspect --raw {reference}")
        if whole:
            self._run(
                "skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests",
                "--src-tls-verify=false", f"docker://{reference}", f"dir:{folder}",
            )  # fmt: skip
            check_equal((folder / "manifest.json").read_bytes(), image.root.data, f"skopeo copy {reference}")

    def crane(self, reference, image, folder, whole):
        raw = self._run("crane", "manifest", reference).output
        check(raw in (image.root.data, image.root.data + b"\n"), f"crane manifest {reference}: other bytes")
        check_equal(self._run("crane", "digest", reference).text.strip(), image.root.digest, "crane digest")
        if whole:
            self._run("crane", "pull", "--format=oci", reference, folder / "layout")
            _check_layout(folder / "layout", image)

    def regctl(self, reference, image, folder, whole):
        raw = self._run("regctl", "manifest", "get", "--format", "raw-body", reference).output
        check_equal(raw, image.root.data, f"regctl manifest get {reference}")
        if whole:
            self._run("regctl", "image", "copy", "--include-external", reference, f"ocidir://{folder}/layout:read")
            _check_layout(folder / "layout", image)

    def oci_client(self, images):
        """Pulls all of `images` (reference → image) and compares their digests."""
        said = self._workplace.run([self._workplace.oci_client_pull, *images], timeout=300).text
        found = {reference: digest for digest, reference in (line.split(" ") for line in said.splitlines())}
        check_equal(found, {reference: each.root.digest for reference, each in images.items()}, "digests")
        return f"{len(found)} images"

    def regctl_referrers(self, reference, typed=True):
        """What `regctl artifact list` shows: the set of (digest, artifact type, size)."""
        found = json.loads(self._run("regctl", "artifact", "list", "--format", "{{json .}}", reference).text)
        return {
            (each["digest"], each.get("artifactType", "") if typed else "", each["size"])
            for each in found.get("descriptors") or []
        }

    def oras_tree(self, reference, typed, *options):
        """What `oras discover` draws: the set of paths from the image down to each referrer.

        The paths have types and digests in turn; without `typed` the digests only.
        """
        text = self._run("oras", "discover", "--format", "tree", *options, reference).text
        paths = set()
        above = []
        for line in text.splitlines()[1:]:
            match = re.match(r"^([│├└─\s]*)(.+)$", line)
            if not match:
                continue
            depth = len(match.group(1)) // 4
            above = above[: depth - 1] + [match.group(2).strip()]
            paths.add(tuple(step for step in above if typed or step.startswith("sha256:")))
        return paths

    def _run(self, *arguments):
        return self._workplace.run(arguments, timeout=120, environment=self._environment)


def _check_layout(folder, image):
    """Every manifest and blob of the image stands in the layout that a tool pulled, with its digest."""
    pending = [image.root]
    while pending:
        manifest = pending.pop()
        check_equal(_blob(folder, manifest.digest), manifest.data, f"manifest {manifest.digest} in the layout")
        pending += manifest.children
        for blob in manifest.blobs:
            check_equal(digest_of(_blob(folder, blob.digest)), blob.digest, "blob in the layout")


def _blob(folder, digest):
    path = folder / "blobs" / digest.replace(":", "/")
    check(path.is_file(), f"{digest} is missing in the layout that was pulled")
    return path.read_bytes()
