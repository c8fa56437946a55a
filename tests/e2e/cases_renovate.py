"""The documented configuration for Renovate, tried with Renovate's own validator, manager and replacement."""

import json
from pathlib import Path

from harness import check, check_equal

CASES = 3
CONFIGURATION = Path(__file__).resolve().parents[2] / "docs" / "renovate.json"
SCRIPT = Path(__file__).with_name("renovate.cjs")
OLD = "sha256:" + "c" * 64
NEW = "sha256:" + "e" * 64

LIST = f"""\
# - source: commented/out:1
targetRepoPrefix: "r.example/m/"
images:
  - source: alpine:3.22   # alpine:3.22
  - source: "ghcr.io/org/app1:1@{OLD}"
  - {{source: 'localhost:5000/a/b:v1.2.3', target: x/y}}
  - {{ "source" : "quay.io/x/y:latest@{OLD}", "tag": "z" }}
  - source: busybox
  - source: localhost:5000/floats
  - source: bare@{OLD}
    tag: "1.2"
  - tag: t
    source:
      k8s1/app:1.2@{OLD}
  - source: &a registry.example.com/team/app:1.2-alpine@{OLD}
    target: team/source
"""

# Each source that has a tag, and what an update makes of it: tag and digest, at their own places only.
UPDATES = {
    "alpine:3.22": "alpine:3.229",
    f"ghcr.io/org/app1:1@{OLD}": f"ghcr.io/org/app1:19@{NEW}",
    "localhost:5000/a/b:v1.2.3": "localhost:5000/a/b:v1.2.39",
    f"quay.io/x/y:latest@{OLD}": f"quay.io/x/y:latest@{NEW}",
    f"k8s1/app:1.2@{OLD}": f"k8s1/app:1.29@{NEW}",
    f"registry.example.com/team/app:1.2-alpine@{OLD}": f"registry.example.com/team/app:1.2-alpine9@{NEW}",
}


def run(book, workplace):
    book.group("Renovate")
    book.case("it takes the documented configuration", _validate, workplace)
    book.case("it finds what has a tag, and updates tag and digest alone", _update, workplace, "\n")
    book.case("the same with CRLF", _update, workplace, "\r\n")


def _renovate(workplace):
    package = workplace.tools / "renovate" / "node_modules" / "renovate"
    check(package.is_dir(), f"{package} is missing")
    return package


def _validate(workplace):
    folder = workplace.fresh_folder("renovate")
    validator = _renovate(workplace) / "dist" / "config-validator.js"
    (folder / "renovate.json").write_bytes(CONFIGURATION.read_bytes())
    workplace.run(["node", validator, "--strict", "renovate.json"], directory=folder)
    # The validator can say no.
    broken = CONFIGURATION.read_text().replace("managerFilePatterns", "managerFilePattern")
    (folder / "renovate.json").write_text(broken)
    workplace.run(["node", validator, "--strict", "renovate.json"], directory=folder, expect=(1,))


def _update(workplace, line_end):
    folder = workplace.fresh_folder("renovate")
    file = folder / "external-images.yaml"
    text = LIST.replace("\n", line_end)
    file.write_bytes(text.encode())
    before = _sources(workplace, file)
    done = workplace.run(["node", SCRIPT, _renovate(workplace), CONFIGURATION, file, folder])
    told = json.loads(done.output)
    check_equal(told["beyondRe2"], [], "expressions that RE2 does not have")
    check_equal(told["matches"], ["external-images.yaml", "deep/external-images.yml"], "files")
    check_equal({dep["datasource"] for dep in told["found"]}, {"docker"}, "where versions are looked up")
    found = [f"{dep['depName']}:{dep['currentValue']}" + (f"@{dep['currentDigest']}" if "currentDigest" in dep else "")
             for dep in told["found"]]
    check_equal(found, list(UPDATES), "sources that were found")
    file.write_bytes(told["content"].encode())
    after = _sources(workplace, file)
    check_equal(after, [UPDATES.get(source, source) for source in before], "sources after the updates")
    # Each source stands before what else has its text; the rest is the same byte for byte.
    expected = text
    for source, updated in UPDATES.items():
        expected = expected.replace(source, updated, 1)
    check_equal(told["content"], expected, "the list after the updates")


def _sources(workplace, file):
    """The sources as our own program reads them."""
    done = workplace.run([workplace.binary, "pin", "--check", "--format", "json", "-i", file], expect=(3,))
    return [source["source"] for source in json.loads(done.output)["sources"]]
