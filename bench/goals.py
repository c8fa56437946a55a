"""How much faster than its peers image-syncer wants to be, and whether it is."""

from dataclasses import dataclass

# What counts as "as fast" among runs that vary.
AS_FAST = 0.95


@dataclass(frozen=True)
class Goal:
    """For a workload at a round-trip time (in milliseconds): how many times as fast as the fastest peer with its
    defaults, and as the fastest at any concurrency."""

    workload: str
    delay: int
    default: float
    best: float


GOALS = (
    Goal("A", 50, 8, 1.5),
    Goal("A", 0, 4, 1.5),
    Goal("A+", 50, 8, 2),
    Goal("B", 50, 3, 1.5),
    Goal("B", 0, 1.5, 1.2),
    Goal("C", 0, AS_FAST, AS_FAST),
    Goal("D", 50, 5, 2),
)

REQUESTS_A_TAG = 2
CPU_SHARE = 0.5
MEMORY_KIB = 64 * 1024
WITH_TOKENS = 1.2


@dataclass(frozen=True)
class Verdict:
    """One thing that is wanted. `found` and `wanted` are for people to read."""

    result: object
    subject: str
    found: str
    wanted: str
    reached: bool


def verdicts(results):
    """Everything that is wanted of these results."""
    found = []
    for result in results:
        if result.ours is None:
            found.append(Verdict(result, "image-syncer", "failed", "to get to an end", False))
            continue
        for goal in GOALS:
            if (goal.workload, goal.delay) != (result.workload.name, result.delay):
                continue
            found += _speed(result, "with its defaults", ("default",), goal.default)
            found += _speed(result, "at its best concurrency", ("default", "best"), goal.best)
        found += _others(result)
    return found


def fastest(result, variants):
    """The fastest peer that did all there is to do; None if there is none."""
    peers = [
        peer for peer in result.outcomes if not peer.ours and peer.variant in variants and result.complete(peer)
    ]
    return min(peers, key=result.seconds, default=None)


def _speed(result, manner, variants, wanted):
    peer = fastest(result, variants)
    if peer is None:
        return _slower_than_the_limit(result, manner, variants, wanted)
    ratio = result.seconds(peer) / result.seconds(result.ours)
    complete = result.complete(result.ours)
    return [
        Verdict(
            result, f"the fastest {manner}: {peer}", f"{ratio:.2f} times as fast" + ("" if complete else ", not whole"),
            f"{wanted:g}", complete and ratio >= wanted,
        )
    ]  # fmt: skip


def _slower_than_the_limit(result, manner, variants, wanted):
    """Where nobody did all there is to do, but some were stopped: whoever would have takes longer than that."""
    limits = [limit for peer, limit in result.stopped.items() if not peer.ours and peer.variant in variants]
    if not limits:
        return []
    ratio = min(limits) / result.seconds(result.ours)
    reached = result.complete(result.ours) and ratio >= wanted
    return [
        Verdict(
            result, f"the fastest {manner}: all were stopped", f"more than {ratio:.2f} times as fast", f"{wanted:g}",
            reached,
        )
    ]  # fmt: skip


def _others(result):
    """What is wanted besides speed."""
    name, delay, ours = result.workload.name, result.delay, result.ours
    runs = [each.traffic for each in result.outcomes[ours]]
    if (name, delay) == ("A", 50):
        each = max(run.requests for run in runs) / len(result.workload.images)
        yield Verdict(result, "requests a tag", f"{each:.2f}", f"≤ {REQUESTS_A_TAG}", each <= REQUESTS_A_TAG)
    if (name, delay) == ("A", 0) and (peer := fastest(result, ("default",))):
        share = result.median(ours, "cpu") / max(result.median(peer, "cpu"), 0.01)
        yield Verdict(result, f"CPU ÷ that of {peer}", f"{share:.2f}", f"≤ {CPU_SHARE}", share <= CPU_SHARE)
    if (name, delay) == ("B", 50):
        ratio = max(run.byte_ratio for run in runs)
        yield Verdict(result, "source bytes ÷ unique bytes", f"{ratio:.2f}", "1.00", round(ratio, 2) == 1)
        twice = max(run.uploads - run.uploaded for run in runs)
        yield Verdict(result, "blobs uploaded twice", str(twice), "0", twice == 0)
    if name == "C":
        memory = max(each.sample.memory for each in result.outcomes[ours])
        yield Verdict(result, "peak memory", f"{memory / 1024:.0f} MiB", "< 64 MiB", memory < MEMORY_KIB)
    if result.workload.bearer:
        guarded = next((each for each in result.outcomes if each.bearer), None)
        if guarded is None:
            yield Verdict(result, "with tokens", "failed", "to get to an end", False)
        else:
            ratio = result.seconds(guarded) / result.seconds(ours)
            yield Verdict(
                result, "time with tokens ÷ without", f"{ratio:.2f}", f"≤ {WITH_TOKENS}", ratio <= WITH_TOKENS
            )
