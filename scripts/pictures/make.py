"""Makes the pictures: runs the action, renders what it wrote as GitHub does, and photographs that."""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cmarkgfm
import nh3
from cmarkgfm.cmark import Options
from PIL import Image, ImageChops

sys.path.insert(0, str(Path(__file__).resolve().parent))

import scenes  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
SCALE = 2
WIDTH = 880
TALLEST = 4000
LARGEST = 150_000
COLOURS = 128
SCHEMES = ("light", "dark")

# What GitHub leaves of HTML, as far as reports have any of it.
TAGS = set(
    "h1 h2 h3 h4 h5 h6 p br hr b strong em i code pre sub sup a ul ol li blockquote del details summary "
    "table thead tbody tr th td".split()
)
ATTRIBUTES = {"a": {"href"}, "th": {"align"}, "td": {"align"}, "details": {"open"}}


@dataclass
class Picture:
    """What is to be seen: a scene, what a reader opened, and how many rows of a long table are shown."""

    scene: object
    kind: str
    opened: tuple = ()
    rows: int | None = None


PICTURES = {
    "comment-adds": Picture(scenes.adds, "comment"),
    "comment-conflict": Picture(scenes.conflict, "comment", opened=("other content",)),
    "comment-failures": Picture(scenes.failures, "comment"),
    "comment-empty": Picture(scenes.empty, "comment"),
    "comment-truncated": Picture(scenes.truncated, "comment", rows=3),
    "summary": Picture(scenes.summary, "summary"),
}

BARS = {
    "comment": '<span class="avatar">{mark}</span><strong>github-actions</strong><span class="label">bot</span>'
    "commented 2 minutes ago",
    "summary": "<strong>sync</strong> summary",
}

MARK = (
    '<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<rect x="2" y="5" width="12" height="8" rx="2"/><path d="M8 5V2.5M5.5 9h.01M10.5 9h.01" stroke-linecap="round"/></svg>'
)

ALERT = (
    '<svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<path d="M1.75 2.5h12.5v8.75H7.5L4.5 14v-2.75H1.75ZM8 4.75V7.5M8 9v.2"/></svg>'
)

# Tells what a reader could not see without scrolling sideways.
CHECK = """<script>
const wide = [...document.querySelectorAll(".body, .body *")].filter(it =>
  it.scrollWidth > it.clientWidth + 1 && it.clientWidth > 0 && getComputedStyle(it).overflowX !== "visible");
document.documentElement.dataset.wide = wide.map(it => `${it.tagName} ${it.scrollWidth}>${it.clientWidth}`).join(", ");
</script>"""


def rendered(markdown, is_comment):
    """HTML as GitHub makes it: in comments, line ends are line breaks."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_GITHUB_PRE_LANG
    if is_comment:
        options |= Options.CMARK_OPT_HARDBREAKS
    html = cmarkgfm.github_flavored_markdown_to_html(markdown, options)
    html = nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, link_rel=None)
    return re.sub(
        r"<blockquote>\s*<p>\[!IMPORTANT\](?:<br>)?\s*(.*?)</blockquote>",
        rf'<blockquote class="alert"><p class="title">{ALERT} Important</p><p>\1</blockquote>',
        html,
        flags=re.DOTALL,
    )


def opened(html, words):
    """The folds of whose title is one of these words, opened as a reader opens them."""
    for word in words:
        html, count = re.subn(rf"<details>(\s*<summary>(?:(?!</summary>).)*{word})", r"<details open>\1", html)
        if count == 0:
            sys.exit(f"github-pictures: nothing to open is called {word}")
    return html


def shortened(html, rows):
    """The first table with its first rows and its last one, and what lies between said in their place."""
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    parts = re.findall(r"<tr>.*?</tr>", body[1], re.DOTALL)
    hidden = len(parts) - rows - 1
    note = f'<tr class="torn"><td colspan="6">{hidden} more rows, which this picture leaves out</td></tr>'
    return html[: body.start(1)] + "".join([*parts[:rows], note, parts[-1]]) + html[body.end(1) :]


def page(picture, markdown, scheme):
    html = rendered(markdown, picture.kind == "comment")
    html = opened(html, picture.opened)
    if picture.rows:
        html = shortened(html, picture.rows)
    look = (Path(__file__).parent / "look.css").read_text()
    bar = BARS[picture.kind].format(mark=MARK)
    return (
        f'<!doctype html><html data-scheme="{scheme}"><meta charset="utf-8"><style>{look}</style>'
        f'<div class="card"><div class="bar">{bar}</div><div class="body">{html}</div></div>{CHECK}</html>'
    )


def chromium(folder, file, *options):
    command = [
        CHROMIUM, "--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-sandbox",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH},{TALLEST}",
        f"--force-device-scale-factor={SCALE}", "--font-render-hinting=none", *options, file.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout


def photographed(folder, file):
    """The page as a picture, cropped to what is on it."""
    shot = folder / "shot.png"
    chromium(folder, file, f"--screenshot={shot}")
    with Image.open(shot) as whole:
        whole = whole.convert("RGB")
    background = Image.new("RGB", whole.size, whole.getpixel((0, 0)))
    box = ImageChops.difference(whole, background).getbbox()
    if box is None or box[3] >= whole.height - 2 * SCALE:
        sys.exit(f"github-pictures: {file.name} is empty or higher than {TALLEST}")
    edge = 4 * SCALE
    cropped = whole.crop((0, 0, whole.width, min(whole.height, box[3] + edge)))
    output = io.BytesIO()
    # A palette takes a third, and is not to be seen: the means of k groups keep what there is most of as it is.
    small = cropped.quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    small.save(output, "PNG", optimize=True)
    return output.getvalue(), cropped.size


def main():
    parser = argparse.ArgumentParser(prog="github-pictures")
    parser.add_argument("--program", required=True)
    parser.add_argument("--docs", type=Path, required=True)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", action="append", choices=list(PICTURES))
    arguments = parser.parse_args()
    if not arguments.program:
        sys.exit("github-pictures: build the program first: cargo build --release")
    program = str(Path(arguments.program).resolve())
    arguments.docs.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="github-pictures-"))
    faults = []
    try:
        for name in arguments.only or PICTURES:
            picture = PICTURES[name]
            world = scenes.World(program, work / name)
            try:
                markdown = picture.scene(world)
            finally:
                world.close()
            if not markdown:
                sys.exit(f"github-pictures: {name}: nothing was written\n{world.log}")
            if str(work) in markdown or "127.0.0.1" in markdown:
                sys.exit(f"github-pictures: {name} shows this machine:\n{markdown}")
            print(f"{name}: exit code {world.code}, {len(markdown)} characters, {world.took:.1f} s")
            for scheme in SCHEMES:
                file = work / f"{name}-{scheme}.html"
                file.write_text(page(picture, markdown, scheme))
                dom = chromium(work, file, "--dump-dom").decode()
                if wide := re.search(r'data-wide="([^"]+)"', dom):
                    faults.append(f"{name}-{scheme} is wider than its place: {wide[1]}")
                data, size = photographed(work, file)
                if len(data) > LARGEST:
                    faults.append(f"{name}-{scheme}.png has {len(data)} bytes")
                (arguments.docs / f"{name}-{scheme}.png").write_bytes(data)
                print(f"  {name}-{scheme}.png: {size[0]}×{size[1]}, {len(data) // 1000} kB")
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{name}.md").write_text(markdown)
                (arguments.keep / f"{name}.log").write_text(world.log)
                shutil.copy(work / f"{name}-light.html", arguments.keep)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for fault in faults:
        print(f"github-pictures: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
