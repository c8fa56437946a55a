"""The results as a picture: an SVG that brings its own background, for light and for dark pages."""

import math
from xml.sax.saxutils import escape

LIGHT = {"back": "#ffffff", "text": "#1f2328", "faint": "#59636e", "line": "#d1d9e0", "ours": "#1f2328"}
DARK = {"back": "#0d1117", "text": "#f0f6fc", "faint": "#9198a1", "line": "#3d444d", "ours": "#f0f6fc"}
# Each can be told from its background, and from the others.
LIGHT_PEERS = {
    "regsync": "#0969da", "regctl": "#bf3989", "crane": "#1a7f37", "oras": "#8250df", "skopeo": "#bc4c00",
}  # fmt: skip
DARK_PEERS = {
    "regsync": "#58a6ff", "regctl": "#f778ba", "crane": "#3fb950", "oras": "#bc8cff", "skopeo": "#f0883e",
}  # fmt: skip

WIDTH = 860
LEFT, RIGHT, TOP, BOTTOM, ROW = 100, 30, 92, 44, 34
RADIUS = 6
TITLE = "How long others take, in multiples of image-syncer's time: slower ones are on the right"


def svg(results):
    """A row a workload: how many times as long as image-syncer each peer that copied all images takes, on a
    logarithmic scale; None where there is nothing to show."""
    rows = [(result, _points(result)) for result in results if result.ours and not result.workload.bearer]
    rows = [(result, points) for result, points in rows if points]
    if not rows:
        return None
    factors = [factor for _, points in rows for _, factor in points]
    low = math.floor(min(0, math.log10(min(factors))) * 2) / 2
    high = math.ceil(max(1, math.log10(max(factors))) * 2) / 2
    bottom = TOP + ROW * len(rows)

    def across(factor):
        return LEFT + (math.log10(factor) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<rect class="back" width="{WIDTH}" height="{bottom + BOTTOM}" rx="6"/>',
        _text(20, 28, "text", TITLE, 15),
        *_legend([contestant.program for _, points in rows for contestant, _ in points]),
    ]
    for factor in _ticks(low, high):
        kind = "ours" if factor == 1 else "line"
        place = across(factor)
        parts.append(f'<line class="{kind}" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
        label = "image-syncer" if factor == 1 else f"× {factor:g}"
        parts.append(_text(place, bottom + 20, "faint", label, 12, "middle"))
    for number, (result, points) in enumerate(rows):
        middle = TOP + ROW * number + ROW / 2
        parts.append(_text(20, middle + 4, "text", f"{result.workload.name}, {result.delay} ms", 13))
        for contestant, factor in points:
            parts.append(_mark(contestant, across(factor), middle, factor, result.complete(contestant)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + BOTTOM}" width="{WIDTH}" '
        f'role="img" font-family="system-ui, sans-serif">\n<style>\n{_style()}\n</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _points(result):
    """Peers whose images are all there, and the ratio of their time to ours."""
    ours = result.seconds(result.ours)
    return [
        (contestant, result.seconds(contestant) / ours)
        for contestant, outcomes in result.outcomes.items()
        if not contestant.ours and contestant not in result.failures and not outcomes[-1].left_out.images
    ]


def _ticks(low, high):
    steps = [digit * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for digit in (1, 2, 5)]
    return [step for step in steps if low - 0.01 <= math.log10(step) <= high + 0.01]


def _legend(programs):
    place = 26.0
    for program in [name for name in LIGHT_PEERS if name in programs]:
        yield f'<circle class="{program}" cx="{place}" cy="54" r="{RADIUS}" fill="currentColor"/>'
        yield _text(place + 12, 58, "text", program, 13)
        place += 30 + 8 * len(program)
    yield _text(place + 6, 58, "faint", "○ defaults  ● best concurrency  □ leaves companions out", 13)


def _mark(contestant, x, y, factor, complete):
    look = (
        f'class="{contestant.program}" fill="{"currentColor" if contestant.variant == "best" else "none"}" '
        f'stroke="currentColor" stroke-width="2"'
    )
    title = f"<title>{escape(str(contestant))}: × {factor:.2f}</title>"
    if complete:
        return f'<circle {look} cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}">{title}</circle>'
    side = 2 * RADIUS - 2
    return f'<rect {look} x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side}" height="{side}">{title}</rect>'


def _text(x, y, kind, text, size, anchor="start"):
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text class="{kind}" style="stroke: none" {place}>{escape(text)}</text>'


def _style():
    def rules(shades, peers):
        plain = [f".{kind} {{ fill: {colour}; stroke: {colour} }}" for kind, colour in shades.items()]
        return plain + [f".{program} {{ color: {colour} }}" for program, colour in peers.items()]

    light, dark = rules(LIGHT, LIGHT_PEERS), rules(DARK, DARK_PEERS)
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}"])
