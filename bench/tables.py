"""The results as Markdown, which a terminal shows as well as a README."""

import goals
from traffic import by_method

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


def wanted(found):
    """What was wanted, and what was found: goals.Verdict by goals.Verdict."""
    rows = [
        [
            _place(each.result), each.subject, f"**{each.found}**",
            each.wanted if each.reached else f"{each.wanted} (missed)",
        ]
        for each in found
    ]  # fmt: skip
    return _table(["Workload", "Against", "Found", "Wanted"], rows, "lllr")


def costs(result):
    """What each contestant needed for a workload."""
    rows = []
    for contestant in result.workload.contestants:
        if contestant not in result.outcomes:
            if contestant in result.stopped:
                rows.append(_stopped(result, contestant))
            elif contestant in result.failures:
                rows.append([contestant.program, contestant.concurrency, *["–"] * 12, result.left_out(contestant)])
            continue
        outcomes = result.outcomes[contestant]
        # Of the last run: they differ by little.
        traffic = outcomes[-1].traffic
        factor = result.seconds(contestant) / result.seconds(result.ours) if result.ours else 0
        rows.append([
            contestant.program,
            contestant.concurrency,
            f"{result.seconds(contestant):.2f} s",
            f"{factor:.2f}" if factor else "–",
            f"{result.median(contestant, 'cpu'):.2f} s",
            f"{result.median(contestant, 'registries'):.2f} s",
            f"{result.median(contestant, 'relays'):.2f} s",
            f"{result.median(contestant, 'others'):.0%}",
            f"{max(each.sample.memory for each in outcomes) / 1024:.0f} MiB",
            by_method(traffic.source),
            by_method(traffic.target) + (f", {traffic.tokens} for tokens" if traffic.tokens else ""),
            f"{traffic.byte_ratio:.2f}" if traffic.unique_bytes else "–",
            f"{traffic.uploads:,} of {traffic.uploaded:,}, {traffic.mounts:,}",
            f"{len(outcomes)}",
            result.left_out(contestant),
        ])
    header = [
        "Program", "Concurrency", "Time", "÷ ours", "CPU", "CPU of registries", "CPU of relays", "Busy elsewhere",
        "Peak memory", "Requests to the source", "Requests to the target", "Bytes ÷ unique",
        "Uploads of blobs, mounts", "Runs", "Left out",
    ]  # fmt: skip
    return f"{_place(result)}: {result.workload.title}\n\n{_table(header, rows, 'llrrrrrrrllrrrl')}"


def _stopped(result, contestant):
    """The row of a program that was not done in time."""
    limit = result.stopped[contestant]
    factor = f"> {limit / result.seconds(result.ours):.2f}" if result.ours else "–"
    return [
        contestant.program, contestant.concurrency, f"> {limit:g} s", factor, *["–"] * 10, result.left_out(contestant)
    ]  # fmt: skip


LEGEND = """\
Times and CPU are medians over the runs; in each round all programs do the same work, one after the other.
“default” is a program as it comes, “best” with the concurrency that it offers, or 16 of it at a time
([the commands](bench/peers)). A program's memory is that of its largest process. “Busy elsewhere” is the share of the
machine that had nothing to do with it. “Bytes ÷ unique” is what the source sent of blobs, divided by the size of the
distinct ones. “3 of 2, 1” is three uploads of two distinct blobs, and one mount. “Left out” is what was not at the
target afterwards; in A+, what a program does not bring when the image itself is there already. The relay accepts
connections at once, which is kind to programs that open many."""


def readme_section(results, facts, picture):
    """What stands between the markers in README.md; `picture` is the plot's path."""
    titles = {result.workload.name: result.workload.title for result in results}
    return "\n\n".join([
        f"![How long others take, in multiples of image-syncer's time]({picture})",
        "\n".join(f"- {name}: {title}" for name, title in titles.items()),
        "“50 ms” and “0 ms” are the round-trip times to both registries.",
        wanted(goals.verdicts(results)),
        "<details><summary>All programs: times, memory, requests, and the machine</summary>",
        *map(costs, results),
        LEGEND,
        "\n".join(f"- {line}" for line in facts),
        "</details>",
    ])


def update(text, section):
    """The README's text with the section between the markers replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"it does not have one {BEGIN} and, after it, one {END}")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{section}\n{END}{rest.split(END)[1]}"


def _place(result):
    return f"{result.workload.name}, {result.delay} ms"


def _table(header, rows, alignment):
    columns = range(len(header))
    widths = [max(len(row[column]) for row in [header, *rows]) for column in columns]

    def line(cells):
        padded = (
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(cells, widths, alignment, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    sides = zip(widths, alignment, strict=True)
    rule = ["-" * width if side == "l" else "-" * (width - 1) + ":" for width, side in sides]
    return "\n".join([line(header), line(rule), *map(line, rows)])
