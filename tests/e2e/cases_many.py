"""20,000 images of 500 repositories in one list: peak memory and time of a plan, as GNU time measures them."""

import json
from concurrent.futures import ThreadPoolExecutor

from client import OCI_MANIFEST
from content import OCI_CONFIG, OCI_LAYER
from harness import check, check_equal
from registries import ServeMemory
from syncer import Syncer

CASES = 3
REPOSITORIES = 500
TAGS = 40
LIMIT_KIB = 256 * 1024
# The time of twice as many images, as a multiple: what is quadratic takes four times as long.
LINEAR = 3.0


def run(book, workplace):
    book.group("many images")
    # Both in memory, and neither with anything to log: the list is what is measured.
    with ServeMemory(workplace) as source, ServeMemory(workplace) as target:
        many = Many(workplace, source, target)
        book.case("20,000 images are made", many.push)
        book.case("a plan of all of them stays under 256 MiB", many.plan, TAGS)
        book.case("twice the images take twice the time, not four times", many.linear)


class Many:
    """Images with three layers each, one of them its own, and plans of some of them."""

    def __init__(self, workplace, source, target):
        self.workplace = workplace
        self.syncer = Syncer(workplace)
        self.source = source
        self.target = target
        self.seconds = {}

    @staticmethod
    def repository(number):
        return f"many/team{number % 20}/app{number}"

    def push(self):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._push_repository, range(REPOSITORIES)))

    def _push_repository(self, number):
        client, repository = self.source.client, self.repository(number)
        config = _push(client, repository, json.dumps({"architecture": "amd64", "os": "linux"}).encode(), OCI_CONFIG)
        shared = [_push(client, repository, f"{kind} of {number}".encode(), OCI_LAYER) for kind in ("base", "tools")]
        for tag in range(TAGS):
            own = _push(client, repository, f"{number}:{tag}".encode(), OCI_LAYER)
            manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [*shared, own]}
            client.push_manifest(repository, f"1.{tag}", json.dumps(manifest).encode(), OCI_MANIFEST)

    def plan(self, tags):
        """Plans so many tags of each repository; the totals are checked as well."""
        files = self.syncer.write_lists([
            f'  - source: "{self.source.host}/{self.repository(number)}:1.{tag}"\n'
            for tag in range(tags) for number in range(REPOSITORIES)
        ])  # fmt: skip
        folder = self.workplace.fresh_folder("many")
        report = folder / "report.json"
        command = self.syncer.command(files, f"{self.target.host}/mirror/", "--dry-run=true", "--report", report)
        self.workplace.run(["/usr/bin/time", "-f", "%M %e", "-o", folder / "time", *command], timeout=900)
        totals = json.loads(report.read_text())["totals"]
        check_equal(totals["decisions"]["copy"], tags * REPOSITORIES, "images to copy")
        peak, seconds = (folder / "time").read_text().split()[-2:]
        self.seconds[tags] = float(seconds)
        check(int(peak) < LIMIT_KIB, f"peak memory {int(peak) / 1024:.1f} MiB, the limit is 256 MiB")
        return f"{int(peak) / 1024:.1f} MiB, {float(seconds):.1f} s"

    def linear(self):
        half = self.plan(TAGS // 2)
        times = self.seconds[TAGS] / self.seconds[TAGS // 2]
        check(times < LINEAR, f"{times:.1f} times as long for twice the images")
        return f"the half: {half}; the whole takes {times:.1f} times as long"


def _push(client, repository, data, media_type):
    """Uploads a blob that is not there and gives its descriptor."""
    digest = client.push_blob(repository, data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}
