"""Runs a workload's contestants one after the other, round by round, and keeps what each run cost."""

import statistics
import sys
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field

import measure
import traffic
from harness import Failure, TooLong, check
from images import LeftOut
from workloads import OURS, Contestant, task


# What is not timed takes no longer than this, in seconds.
ENOUGH = 1800


@dataclass
class Lab:
    """What all workloads are run with; `rounds` is how often."""

    workplace: object
    network: object
    source_kind: type
    target_kind: type
    rounds: int
    # A program that takes longer, in seconds, gets no second round.
    patience: float
    # A program that takes longer, in seconds, is stopped.
    limit: float
    # A folder for the requests of the last run of each contestant, or None.
    requests: object = None


@dataclass(frozen=True)
class Outcome:
    """One run: what it cost, what it sent, and what was not at the target after it."""

    sample: measure.Sample
    traffic: traffic.Traffic
    left_out: LeftOut


@dataclass
class Result:
    """A workload at one round-trip time (in milliseconds): the runs of each contestant that got to an end.

    `failures` has the reason of each one that did not, `stopped` the seconds that those had who were not done in time.
    `blind` has the companions that a contestant does not bring
    when the image itself is at the target already.
    """

    workload: object
    delay: int
    outcomes: dict = field(default_factory=dict)
    failures: dict = field(default_factory=dict)
    stopped: dict = field(default_factory=dict)
    blind: dict = field(default_factory=dict)

    def median(self, contestant, what):
        return statistics.median(getattr(each.sample, what) for each in self.outcomes[contestant])

    def seconds(self, contestant):
        return self.median(contestant, "seconds")

    @property
    def ours(self):
        return next((each for each in self.outcomes if each.ours), None)

    def left_out(self, contestant):
        """In words, what a contestant does not do."""
        if contestant in self.stopped:
            return f"stopped after {self.stopped[contestant]:g} s"
        if contestant in self.failures:
            return f"failed: {self.failures[contestant]}"
        if contestant in self.blind:
            return f"does not see: {self.blind[contestant]}"
        return str(self.outcomes[contestant][-1].left_out)

    def complete(self, contestant):
        """Whether a contestant did all that is to be done."""
        return self.left_out(contestant) == "–"


def hold(lab, workload, delays):
    """Fills the source, and has every contestant do the work in each round; a Result for each delay."""
    say(f"{workload.name}: {workload.title}: filling the source")
    with lab.source_kind(lab.workplace) as source:
        workload.images.push(source.client)
        arena = _Arena(lab, workload, source)
        try:
            blind = {}
            if workload.companions == "copy" and not workload.fresh and not workload.bearer:
                blind = arena.blind_contestants()
            results = [_rounds(lab, workload, arena, delay, blind) for delay in delays]
            arena.check_filled()
            return results
        finally:
            arena.close()


def _rounds(lab, workload, arena, delay, blind):
    result = Result(workload, delay, blind=blind)
    left = list(workload.contestants)
    for number in range(lab.rounds):
        # Everyone begins a round as often as the others.
        turn = number % len(left) if left else 0
        for contestant in left[turn:] + left[:turn]:
            try:
                outcome = arena.run(contestant, delay)
            except TooLong:
                say(f"{workload.name}, {delay} ms: {contestant}: stopped after {lab.limit:g} s")
                if contestant not in result.outcomes:
                    result.stopped[contestant] = lab.limit
                left.remove(contestant)
                continue
            except Failure as failure:
                say(f"{contestant}: {failure}")
                result.failures[contestant] = _first_line(failure)
                left.remove(contestant)
                continue
            result.outcomes.setdefault(contestant, []).append(outcome)
            sample = outcome.sample
            say(
                f"{workload.name}, {delay} ms, round {number + 1}: {contestant}: {sample.seconds:.2f} s, "
                f"CPU {sample.cpu:.2f} s, {sample.memory / 1024:.0f} MiB, {outcome.traffic.requests:,} requests, "
                f"others {sample.others:.0%}"
            )
            if sample.seconds > lab.patience:
                left.remove(contestant)
    return result


class _Arena:
    """The source, and a target for each run: a new one, or the one that holds everything."""

    def __init__(self, lab, workload, source):
        self._lab, self._workload, self._source = lab, workload, source
        self._filled = None
        if not workload.fresh:
            self._filled = lab.target_kind(lab.workplace)
            self._do(Contestant(OURS), 0, workload.images, self._filled, "copy", ENOUGH)
            self.check_filled()

    def close(self):
        if self._filled:
            self._filled.close()

    def run(self, contestant, delay):
        with nullcontext(self._filled) if self._filled else self._lab.target_kind(self._lab.workplace) as target:
            sample, sent = self._do(
                contestant, delay, self._workload.images, target, self._workload.companions, self._lab.limit
            )
            # That nobody broke a target that holds everything is checked at the end.
            left_out = LeftOut() if self._filled else self._workload.images.left_out(target.client)
            return Outcome(sample, sent, left_out)

    def blind_contestants(self):
        """What companions contestants do not bring of images that are up to date."""
        few = self._workload.images.first(2)
        blind = {}
        for contestant in self._workload.contestants:
            with self._lab.target_kind(self._lab.workplace) as target:
                self._do(Contestant(OURS), 0, few, target, "skip", ENOUGH)
                check(few.left_out(target.client) == LeftOut(0, 1, 1), "companions are there already")
                try:
                    self._do(contestant, 0, few, target, "copy", ENOUGH)
                except Failure as failure:
                    blind[contestant] = _first_line(failure)
                    continue
                left_out = few.left_out(target.client)
                if left_out != LeftOut():
                    kinds = {"signature tags": left_out.signature_tags, "referrers": left_out.referrers}
                    blind[contestant] = ", ".join(kind for kind, count in kinds.items() if count)
        return blind

    def check_filled(self):
        """Checks that a target that is to hold everything does."""
        if self._filled:
            left_out = self._workload.images.left_out(self._filled.client)
            check(left_out == LeftOut(), f"the target lacks {left_out}")

    def _do(self, contestant, delay, images, target, companions, limit):
        """Runs a contestant's script over lines with this round-trip time, in milliseconds."""
        workplace, network = self._lab.workplace, self._lab.network
        one_way, relays = delay / 2000, []
        with ExitStack() as stack:
            tokens = stack.enter_context(network.tokens(one_way, relays)) if contestant.bearer else None
            fronts, hosts = [], []
            for registry in (self._source, target):
                front = registry
                if tokens:
                    front = stack.enter_context(type(registry)(workplace, registry.content, tokens))
                fronts.append(front)
                hosts.append(
                    stack.enter_context(network.relay(front.host, one_way, relays)) if delay else front.host
                )
            folder = workplace.fresh_folder("task")
            variables = task(folder, images.pairs(*hosts), *hosts, companions)
            # A new home: what a program remembered of an earlier run would not be there in a CI job.
            variables["HOME"] = str(workplace.fresh_folder("home"))
            served = [front.process for front in fronts] + ([tokens.process] if tokens else [])
            logged = [front.log.stat().st_size for front in fronts]
            sample = measure.run(
                workplace, ["bash", "-euo", "pipefail", contestant.script], served, relays, limit,
                environment=variables, directory=folder,
            )  # fmt: skip
            # A registry writes a line only after its answer is through.
            time.sleep(0.2 + one_way)
            requests = [front.requests(_text(front.log, start)) for front, start in zip(fronts, logged, strict=True)]
            if self._lab.requests:
                file = self._lab.requests / f"{self._workload.name}, {delay} ms, {contestant}.txt"
                file.write_text("".join(
                    f"{side} {each.method} {each.path} {each.status} {each.size}\n"
                    for side, sent in zip(("source", "target"), requests, strict=True)
                    for each in sent
                ))  # fmt: skip
            for_tokens = len(tokens.log.read_text().splitlines()) if tokens else 0
            return sample, traffic.of(*requests, for_tokens)


def _text(log, start):
    with open(log, "rb") as lines:
        lines.seek(start)
        return lines.read().decode(errors="replace")


def _first_line(failure):
    """What a program said of its failure, short enough for a table."""
    said = [line for line in str(failure).splitlines()[1:] if line.strip()]
    return (said or str(failure).splitlines())[-1].strip().replace("|", "/")[:120]


def say(text):
    """Tells somebody who watches how far it is."""
    print(f"  {text}", file=sys.stderr, flush=True)
