"""One list on eight machines: each is a network namespace with a process of its own, and all write to one registry."""

import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

from content import artifact, image, layer
from harness import check, check_equal
from machines import HOST, machines
from registries import DockerRegistry
from syncer import Syncer

CASES = 4
SHARDS = 8
REPOSITORIES = 40
TAGS = ("1", "2")
BASES = 4
# These are killed, and run again.
KILLED = (2, 5, 7)
PUT = re.compile(r'^(\S+) .*"PUT /v2/(\S+)/blobs/uploads/\S*[?&]digest=([^& ]+)\S* HTTP/1\.1" 201 ')


class OnTheNetwork(DockerRegistry):
    """docker-registry, for other machines too, which tells in its log who uploaded what."""

    kind = "docker-registry-on-the-network"

    def _arguments(self):
        arguments = super()._arguments()
        configuration = arguments[-1]
        text = configuration.read_text()
        port = self.host.split(":")[1]
        text = text.replace(f'"addr": "{self.host}"', f'"addr": "0.0.0.0:{port}"')
        configuration.write_text(text.replace('"disabled": true', '"disabled": false'))
        return arguments

    def endpoint(self):
        """By what name and address other machines reach it; what it is called in lists stays the same."""
        return f"{self.host}=http://{HOST}:{self.host.split(':')[1]}"

    def uploads(self):
        """Who uploaded what: pairs of an address and a blob's digest, each time that it was done."""
        found = (PUT.match(line) for line in self.log.read_text(errors="replace").splitlines())
        return [(match[1].rsplit(":", 1)[0], unquote(match[3])) for match in found if match]


def run(book, workplace):
    book.group("one list on eight machines")
    with OnTheNetwork(workplace) as source, machines(workplace, SHARDS) as fleet:
        shards = Shards(workplace, source, fleet)
        book.case("one process does all of it", shards.one_process)
        book.case("eight machines reach the same state", shards.eight_machines)
        book.case("no blob is uploaded by more machines than have images with it", shards.uploaded_once)
        book.case("three that are killed and run again heal it", shards.killed)


class Shards:
    """Images that share four base layers, some with an SBOM as a referrer."""

    def __init__(self, workplace, source, fleet):
        self.workplace = workplace
        self.source = source
        self.fleet = fleet
        self.syncer = Syncer(workplace)
        self.expected = self.uploads = self.reports = None
        bases = [layer(f"shard base {number}", 400_000) for number in range(BASES)]
        self.images = {
            (f"fleet/app{number:02}", tag): image([bases[number % BASES], layer(f"shard {number} {tag}", 60_000)])
            for number in range(REPOSITORIES) for tag in TAGS
        }  # fmt: skip
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._push, self.images))
        entries = "".join(
            f'  - source: "{source.host}/{repository}:{tag}"\n    target: "{repository}"\n'
            for repository, tag in sorted(self.images, key=lambda name: name[::-1])
        )
        self.files = self.syncer.write_lists([entries])

    def _push(self, name):
        repository, tag = name
        self.images[name].push(self.source.client, repository, tag)
        if tag == "1" and repository.endswith("0"):
            artifact("application/spdx+json", subject=self.images[name]).push(self.source.client, repository)

    def state(self, target):
        """Repository → tags, and what each of the list's tags stands for, all of it read."""
        found = {}
        for repository in sorted({repository for repository, _ in self.images}):
            name = f"mirror/{repository}"
            tags = {tag: target.client.digest(name, tag) for tag in target.client.tags(name)}
            found[name] = (tags, [target.client.graph(name, tag) for tag in TAGS if tag in tags])
        return found

    def command(self, target, index):
        """The arguments of one shard, on its machine, and the report that it writes."""
        report = self.workplace.fresh_folder("shard") / f"shard-{index}.json"
        return [
            *self.fleet[index - 1].inside,
            *self.syncer.command(
                self.files, f"{target.host}/mirror/", f"--shard={index}/{SHARDS}", "--report", str(report),
                f"--endpoint={self.source.endpoint()}", f"--endpoint={target.endpoint()}",
            ),
        ], report  # fmt: skip

    def start(self, command):
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=self.workplace.environment, start_new_session=True,
        )  # fmt: skip

    def merge(self, reports, expect=0):
        told = self.workplace.run([self.workplace.binary, "report", "merge", *reports], expect=(expect,)).text
        return told.strip().splitlines()[-3:]

    def one_process(self):
        with OnTheNetwork(self.workplace) as target:
            outcomes = self.syncer.sync(self.files, f"{target.host}/mirror/")
            check_equal(set(outcomes.values()), {"copied"}, "outcomes")
            self.expected = self.state(target)
        check_equal(len(self.expected), REPOSITORIES, "repositories at the target")

    def eight_machines(self):
        check(self.expected, "there is no state to compare with")
        with OnTheNetwork(self.workplace) as target:
            commands = [self.command(target, index) for index in range(1, SHARDS + 1)]
            running = [self.start(command) for command, _ in commands]
            codes = [process.wait(timeout=60) for process in running]
            check_equal(codes, [0] * SHARDS, "exit codes")
            check_equal(self.state(target), self.expected, "the state at the target")
            self.uploads = target.uploads()
            told = self.merge([report for _, report in commands])
        check(any(f"{len(self.images)} copied" in line for line in told), f"the merged report says {told}")

    def uploaded_once(self):
        check(self.uploads, "no upload is in the registry's log")
        who = defaultdict(set)
        for address, digest in self.uploads:
            who[digest].add(address)
        check(set().union(*who.values()) == {machine.address for machine in self.fleet}, "a machine uploaded nothing")
        repeated = len(self.uploads) - sum(len(addresses) for addresses in who.values())
        check_equal(repeated, 0, "uploads of what the same machine had uploaded")
        # A blob that images of several shards share may come once from each of them: README, "Many machines".
        repositories = defaultdict(set)
        for (repository, _), root in self.images.items():
            for blob in root.blobs:
                repositories[blob.digest].add(repository)
        alone = {digest for digest, names in repositories.items() if len(names) == 1}
        twice = {digest: who[digest] for digest in alone if len(who[digest]) != 1}
        check_equal(twice, {}, "blobs of one repository that several machines uploaded")
        shared = [len(addresses) for digest, addresses in who.items() if digest not in alone]
        return f"{len(alone)} blobs of one repository once, {len(shared)} shared ones {sum(shared)} times"

    def killed(self):
        with OnTheNetwork(self.workplace) as target:
            commands = {index: self.command(target, index) for index in range(1, SHARDS + 1)}
            running = {index: self.start(command) for index, (command, _) in commands.items()}
            self.kill(target, running)
            for index in set(running) - set(KILLED):
                check_equal(running[index].wait(timeout=60), 0, f"exit code of shard {index}")
            there = self.state(target)
            missing = sum(len(self.expected[name][0]) - len(tags) for name, (tags, _) in there.items())
            check(missing > 0, "the killed ones had done all of their work")
            others = [report for index, (_, report) in commands.items() if index not in KILLED]
            told = self.merge(others, expect=1)
            check("shards 2, 5 and 7 of 8 have no report" in " ".join(told), f"the merged report says {told}")
            for index in KILLED:
                check_equal(self.start(commands[index][0]).wait(timeout=60), 0, f"exit code of shard {index}, again")
            check_equal(self.state(target), self.expected, "the state at the target")
            self.merge([report for _, report in commands.values()])
        return f"{missing} tags were missing after the kill"

    def kill(self, target, running):
        """Kills three as soon as each of them has uploaded something, while most of their work is before them."""
        waiting = {self.fleet[index - 1].address: index for index in KILLED}
        deadline = time.monotonic() + 30
        while waiting and time.monotonic() < deadline:
            for address in {address for address, _ in target.uploads()} & set(waiting):
                os.killpg(running[waiting.pop(address)].pid, signal.SIGKILL)
            time.sleep(0.005)
        check(not waiting, f"no upload was seen of the shards {sorted(waiting.values())}")
        for index in KILLED:
            running[index].wait()
