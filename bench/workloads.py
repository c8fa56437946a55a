"""The kinds of work that are timed, who takes part, and what each is given."""

import json
from dataclasses import dataclass
from pathlib import Path

import images
from corpus import external_images

PEERS = Path(__file__).resolve().parent / "peers"
OURS = "image-syncer"
LOOPS = ("skopeo", "crane", "oras")


@dataclass(frozen=True)
class Contestant:
    """A program, "default" or "best" for its concurrency, and whether the registries want tokens of it."""

    program: str
    variant: str = "default"
    bearer: bool = False

    @property
    def script(self):
        return PEERS / f"{self.program}.{self.variant}.sh"

    @property
    def ours(self):
        return self.program == OURS and not self.bearer

    @property
    def concurrency(self):
        """As the tables have it."""
        return f"{self.variant}, Bearer" if self.bearer else self.variant

    def __str__(self):
        return f"{self.program} ({self.concurrency})"


@dataclass
class Workload:
    """One kind of work.

    `fresh` says whether each run gets a new, empty target; otherwise all have one that holds everything.
    `companions` is what scripts get as COMPANIONS, and `delays` are round-trip times in milliseconds.
    """

    name: str
    title: str
    images: object
    fresh: bool
    companions: str
    delays: tuple
    programs: tuple
    bearer: bool = False
    # Only these peers, such as "crane" or "crane.best"; None for all.
    chosen: list | None = None

    @property
    def contestants(self):
        """Ours first; each peer twice, as far as there is a script."""
        if self.bearer:
            return [Contestant(OURS), Contestant(OURS, bearer=True)]
        each = [Contestant(program, variant) for program in (OURS, *self.programs) for variant in ("default", "best")]
        return [contestant for contestant in each if contestant.script.is_file() and self._takes_part(contestant)]

    def _takes_part(self, contestant):
        names = {contestant.program, f"{contestant.program}.{contestant.variant}"}
        return contestant.ours or self.chosen is None or not names.isdisjoint(self.chosen)


def workloads(sizes, programs=None):
    """All of them, in the order of the table; with all peers, or with those that `programs` names."""
    many = images.tags_of_many_platforms(sizes.tags, sizes.platforms)
    small = images.small_signed(sizes.small)
    huge = images.HugeImage(sizes.layer)
    nothing = f"{sizes.tags} tags × {sizes.platforms} platforms, nothing to do"
    signed = f"{sizes.small} small signed images, all new"
    both = (50, 0)
    everyone = ("regsync", *LOOPS)
    # Those that copy companions at all.
    careful = ("regsync", "oras")
    found = [
        Workload("A", f"{nothing}, companions skipped", many, False, "skip", both, everyone),
        Workload("A+", f"{nothing}, companions too", many, False, "copy", both, careful),
        Workload(
            "B", f"{sizes.repositories} repositories that share base layers, all new",
            images.shared_bases(sizes.repositories), True, "none", both, everyone,
        ),
        Workload("C", f"one layer of {binary(sizes.layer)}", huge, True, "none", (0,), (*everyone, "regctl")),
        Workload("D", signed, small, True, "copy", both, everyone),
        Workload("E-A", f"{nothing}, with tokens", many, False, "skip", both, (), True),
        Workload("E-D", f"{signed}, with tokens", small, True, "copy", both, (), True),
    ]  # fmt: skip
    for workload in found:
        workload.chosen = programs
    return found


def task(folder, pairs, source_host, target_host, companions):
    """Writes what a script needs into a folder, and returns its variables."""
    entries, steps = [], []
    for source, target in pairs:
        repository = target.split("/", 1)[1].rsplit(":", 1)[0]
        entries.append(f'  - source: "{source}"\n    target: "{repository}"\n')
        # JSON is YAML.
        steps.append(f"  - {json.dumps({'source': source, 'target': target, 'type': 'image'})}\n")
    files = {
        "PAIRS": "".join(f"{source} {target}\n" for source, target in pairs),
        "LIST": external_images(entries),
        "REGSYNC": "".join(steps),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    paths = {name: str(folder / name) for name in files}
    return {"SOURCE": source_host, "TARGET": target_host, "COMPANIONS": companions, **paths}


def binary(number):
    """A number of bytes in the largest unit that divides it."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if number % unit == 0:
            return f"{number // unit} {name}"
    return f"{number} B"
