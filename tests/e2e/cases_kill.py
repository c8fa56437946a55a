"""Killed in the middle: no tag ever names an incomplete image, and the next run completes.

Each round starts a sync into a fresh target through a slow proxy, kills it with SIGKILL at a random moment,
runs it again, and compares the target with what an uninterrupted run leaves. A reader polls the tags all
along, on a connection of its own.
"""

import os
import random
import signal
import subprocess
import threading
import time

from client import MANIFEST_TYPES, Client
from content import artifact, image, layer, multi_arch
from harness import Failure, check, check_equal
from proxy import counting
from registries import DockerRegistry, Zot
from syncer import Syncer, check_outcomes

ROUNDS = 10
IN_FLIGHT_AT_LEAST = 7
TARGETS = (DockerRegistry, Zot)
CASES = 2 * len(TARGETS)
# Slow enough for about three seconds of uploads, so that random moments fall into them.
BYTES_PER_SECOND = 45_000_000


def run(book, workplace):
    for kind in TARGETS:
        book.group(f"killed while copying to {kind.kind}")
        with kind(workplace) as source:
            killing = Killing(workplace, source, kind)
            book.case("an uninterrupted run, as the measure", killing.uninterrupted)
            book.case(f"{ROUNDS} runs killed at random moments, each completed by the next", killing.rounds)


class Killing:
    """A small list of images with layers large enough to be interrupted."""

    def __init__(self, workplace, source, kind):
        self.workplace = workplace
        self.source = source
        self.kind = kind
        self.syncer = Syncer(workplace)
        self.seconds = None
        self.expected = None
        # The kernel holds up to 4 MB of what a killed sender wrote and still delivers it, so a layer has to
        # be several times as large for its upload to break off.
        base = layer("kill base", 16_000_000)
        self.images = {
            "kill/single": image([base, layer("kill single", 30_000_000)]),
            "kill/index": multi_arch({
                text: image([base, layer(f"kill {text}", 24_000_000)], text)
                for text in ("linux/amd64", "linux/arm64")
            }),
            "kill/other": image([layer(f"kill other {part}", 20_000_000) for part in range(2)]),
        }
        for repository, root in self.images.items():
            root.push(source.client, repository, "1")
            artifact("application/spdx+json", subject=root).push(source.client, repository)
        self.files = self.syncer.write_lists([
            f'  - source: "{source.host}/{repository}:1"\n' for repository in self.images
        ])

    def names(self):
        return [f"mirror/{self.source.host.replace(':', '_')}/{repository}" for repository in self.images]

    def state(self, client):
        """Everything at a target: repository → tags, graph and companions."""
        found = {}
        for name in self.names():
            graph = client.graph(name, "1")
            # The fallback index's own digest is no part of the promise: its descriptors are compared.
            tags = {tag for tag in client.tags(name) if not _is_fallback(tag)}
            found[name] = (tags, graph, client.companions(name, graph))
        return found

    def uninterrupted(self):
        with self.kind(self.workplace) as target, counting(target, BYTES_PER_SECOND) as proxy:
            started = time.monotonic()
            outcomes = self.syncer.sync(self.files, f"{proxy.host}/mirror/")
            self.seconds = time.monotonic() - started
            check_outcomes(outcomes, [f"{proxy.host}/{name}:1" for name in self.names()], "copied")
            self.expected = self.state(target.client)
        return f"{self.seconds:.1f} s"

    def rounds(self):
        check(self.expected is not None, "there is no uninterrupted run to compare with")
        seed = int.from_bytes(os.urandom(4), "big")
        moments = random.Random(seed)
        in_flight, log = 0, []
        for number in range(1, ROUNDS + 1):
            moment = moments.uniform(0.05, 0.85) * self.seconds
            try:
                caught, polls = self.round(moment)
            except Failure as failure:
                raise Failure(f"round {number} (seed {seed}, killed after {moment:.2f} s): {failure}") from failure
            in_flight += caught > 0
            log.append(f"{moment:.2f} s: {caught} uploads in flight, {polls} polls")
        print("".join(f"         killed after {line}\n" for line in log), end="", flush=True)
        check(
            in_flight >= IN_FLIGHT_AT_LEAST,
            f"an upload was in flight in {in_flight} of {ROUNDS} rounds, {IN_FLIGHT_AT_LEAST} are needed "
            f"(seed {seed}): {log}",
        )
        return f"an upload was in flight in {in_flight}"

    def round(self, moment):
        with self.kind(self.workplace) as target, counting(target, BYTES_PER_SECOND) as proxy:
            prefix = f"{proxy.host}/mirror/"
            with Reader(target.host, self.names()) as reader:
                caught = self.kill_after(moment, prefix, proxy)
                time.sleep(0.2)
                # The same names, so the same prefix: the second run goes through the same proxy.
                self.syncer.sync(self.files, prefix)
                reader.look()
            check_equal(reader.incomplete, [], "tags that named an incomplete image")
            check(len(reader.seen) == len(self.images), f"the reader saw only the tags {reader.seen}")
            found = self.state(target.client)
            for name, (tags, graph, companions) in self.expected.items():
                check_equal(found[name][0], tags, f"tags of {name} after the second run")
                check_equal(found[name][1], graph, f"graph of {name} after the second run")
                check_equal(found[name][2].referrers, companions.referrers, f"referrers of {name}")
                check_equal(found[name][2], companions, f"companions of {name} after the second run")
            return caught, reader.polls

    def kill_after(self, moment, prefix, proxy):
        """Starts a sync, kills it, and returns how many uploads the kill broke off."""
        process = subprocess.Popen(
            self.syncer.command(self.files, prefix),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.workplace.environment, start_new_session=True,
        )  # fmt: skip
        try:
            time.sleep(moment)
            before = proxy.uploads_in_flight()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # An upload counts when it was under way before the kill and its body broke off through it.
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and proxy.uploads_in_flight():
            time.sleep(0.02)
        return min(before, len(proxy.broken_uploads()))


class Reader:
    """Polls the target's tags; whenever one is there, the whole image has to be there."""

    def __init__(self, host, names):
        self._client = Client(host)
        self._names = names
        self._known = {name: set() for name in names}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self.seen = set()
        self.incomplete = []
        self.polls = 0

    def look(self):
        """Looks once at every tag."""
        for name in self._names:
            try:
                accept = {"Accept": ", ".join(MANIFEST_TYPES)}
                answer = self._client.request("HEAD", f"/v2/{name}/manifests/1", headers=accept)
                if answer.status != 200:
                    # Not there yet, or (docker-registry: 500) its file is just being written.
                    continue
                self.seen.add(name)
                self._client.graph(name, "1", self._known[name])
            except Failure as failure:
                self.incomplete.append(str(failure))

    def _poll(self):
        while not self._stop.wait(0.01):
            self.look()
            self.polls += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)
        self._client.close()


def _is_fallback(tag):
    return tag.startswith("sha256-") and "." not in tag
