"""Runs a job's contestants one after the other, round by round, and keeps what each run cost."""

import shutil
import statistics
import sys
import time
from dataclasses import dataclass, field

import measure
from proxy import counting


@dataclass
class Result:
    """All samples of a job, and the number of requests each contestant needs."""

    job: object
    samples: dict = field(default_factory=dict)
    requests: dict = field(default_factory=dict)

    def median(self, contestant, what):
        return statistics.median(getattr(sample, what) for sample in self.samples[contestant])

    def ratios(self, ours, peer):
        """How many times as fast as the peer we were, in each round."""
        pairs = zip(self.samples[ours], self.samples[peer], strict=True)
        return [theirs.seconds / mine.seconds for mine, theirs in pairs]


def hold(workplace, job, registry_kind, rounds):
    """Fills the source, counts each contestant's requests once, then times `rounds` rounds."""
    result = Result(job, {name: [] for name in job.contestants})
    with registry_kind(workplace) as source:
        _say(f"{job.title}: filling the source")
        job.prepare(source)
        arena = _Arena(workplace, job, registry_kind, source)
        try:
            _say("counting requests")
            for name in job.contestants:
                result.requests[name] = arena.count(name)
            for number in range(rounds):
                # Everyone begins a round as often as the others.
                turn = number % len(job.contestants)
                for name in job.contestants[turn:] + job.contestants[:turn]:
                    sample = arena.time(name)
                    result.samples[name].append(sample)
                    _say(
                        f"round {number + 1}: {name}: {sample.seconds:.2f} s, {sample.memory / 1024:.0f} MiB, "
                        f"others {sample.others:.0%}"
                    )
        finally:
            arena.close()
    shutil.rmtree(source.folder, ignore_errors=True)
    return result


class _Arena:
    """The source, and a target for each run: a new one, or the one that holds everything."""

    def __init__(self, workplace, job, registry_kind, source):
        self._workplace, self._job, self._kind, self._source = workplace, job, registry_kind, source
        self._filled = None
        if not job.fresh:
            self._filled = registry_kind(workplace)
            filler = job.command("image-syncer", source.host, self._filled.host)
            workplace.run(filler, timeout=job.timeout)
            job.images.verify(self._filled, companions=True)

    def close(self):
        if self._filled:
            self._filled.close()
            shutil.rmtree(self._filled.folder, ignore_errors=True)

    def count(self, name):
        """The requests that both registries see, pings included."""

        def run(target):
            with counting(self._source) as front, counting(target) as back:
                command = self._job.command(name, front.host, back.host)
                self._workplace.run(command, timeout=self._job.timeout)
                # A proxy notes a request only after its answer is through.
                time.sleep(0.3)
                return len(front.requests) + len(back.requests)

        return self._with_target(name, run)

    def time(self, name):
        def run(target):
            command = self._job.command(name, self._source.host, target.host)
            # Neither of the registries has children of its own.
            processes = [self._source._process, target._process]
            return measure.run(self._workplace, command, processes, self._job.timeout)

        return self._with_target(name, run)

    def _with_target(self, name, run):
        target = self._filled or self._kind(self._workplace)
        # A new home: what skopeo remembered of blobs in an earlier run would not be there in a CI job.
        home = self._workplace.fresh_folder("home")
        usual_home = self._workplace.environment["HOME"]
        self._workplace.environment["HOME"] = str(home)
        try:
            value = run(target)
            self._job.verify(name, target)
            return value
        finally:
            self._workplace.environment["HOME"] = usual_home
            shutil.rmtree(home, ignore_errors=True)
            if target is not self._filled:
                target.close()
                shutil.rmtree(target.folder, ignore_errors=True)


def _say(text):
    print(f"  {text}", file=sys.stderr, flush=True)
