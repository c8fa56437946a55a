"""The results as Markdown, which a terminal shows as well as a README."""

import statistics

from jobs import CRANE_WORDS, OURS, SKOPEO_WORDS

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"


def reached(results):
    """Whether every ratio that is wanted was reached."""
    return all(
        statistics.median(result.ratios(wanted.ours, wanted.peer)) >= wanted.ratio
        for result in results
        for wanted in result.job.wanted
        if wanted.ratio
    )


def ratios(results):
    """How many times as fast we are."""
    rows = []
    for result in results:
        for wanted in result.job.wanted:
            found = result.ratios(wanted.ours, wanted.peer)
            median = statistics.median(found)
            goal = f"{wanted.ratio:g}" if wanted.ratio else "–"
            if wanted.ratio and median < wanted.ratio:
                goal += " (missed)"
            spread = f"{min(found):.2f} to {max(found):.2f}"
            rows.append([
                result.job.title, f"`{wanted.ours}`", _peer(wanted.peer), f"**{median:.2f}**", spread, goal
            ])
    return _table(["Job", "We", "Peer", "Times as fast", "Rounds", "Wanted"], rows, "lllrrr")


def costs(results):
    """What each program needed for each job."""
    rows = []
    for result in results:
        for name in result.job.contestants:
            rows.append([
                result.job.title,
                _peer(name),
                f"{result.median(name, 'seconds'):.2f} s",
                f"{result.median(name, 'cpu'):.2f} s",
                f"{result.median(name, 'registries'):.2f} s",
                f"{max(sample.memory for sample in result.samples[name]) / 1024:.0f} MiB",
                f"{result.requests[name]:,}",
                f"{result.median(name, 'others'):.0%}",
            ])
    header = [
        "Job", "Program", "Time", "CPU", "CPU of registries", "Peak memory", "Requests", "Machine busy elsewhere"
    ]
    return _table(header, rows, "llrrrrrr")


def commands():
    """What was run, to be done by hand."""
    loop = 'while read -r source target; do {} "{}$source" "{}$target"; done <pairs'
    return "\n".join([
        "```sh",
        f"{OURS} --images-file external-images.yaml --target-repo-prefix TARGET/",
        f"{OURS} --images-file external-images.yaml --target-repo-prefix TARGET/ --signatures skip",
        f"{CRANE_WORDS} SOURCE/huge:1 TARGET/huge:1",
        f"{SKOPEO_WORDS.replace(' --all', '')} docker://SOURCE/huge:1 docker://TARGET/huge:1",
        loop.format(CRANE_WORDS, "", ""),
        loop.format(SKOPEO_WORDS, "docker://", "docker://"),
        "```",
    ])


def readme_section(results, facts):
    """What stands between the markers in README.md."""
    return "\n\n".join([
        ratios(results),
        "“Times as fast” is the median over the rounds of the peer's time divided by ours; in each round all "
        "programs run one after the other on the same content. “Rounds” is the lowest and the highest of them.",
        "<details><summary>Times, memory, requests, machine and commands</summary>",
        costs(results),
        "\n".join(f"- {line}" for line in facts),
        commands(),
        "</details>",
    ])


def update(text, section):
    """The README's text with the section between the markers replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"it does not have one {BEGIN} and, after it, one {END}")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{section}\n{END}{rest.split(END)[1]}"


def _peer(name):
    prefix = "loop of "
    return f"{prefix}`{name.removeprefix(prefix)}`" if name.startswith(prefix) else f"`{name}`"


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
