"""The program under test, run as its users run it, and its report."""

import json

from corpus import external_images
from harness import check, check_equal


class Syncer:
    """Runs `image-syncer sync` on a list of images."""

    def __init__(self, workplace):
        self._workplace = workplace

    def command(self, files, prefix, *options):
        """The arguments of a sync, with the lists and the prefix."""
        lists = [argument for file in files for argument in ("--images-file", str(file))]
        return [str(self._workplace.binary), "sync", *lists, "--target-repo-prefix", prefix, *options]

    def write_lists(self, entries, count=1):
        """Writes the entries to as many lists as asked for, in turn, and returns the files."""
        folder = self._workplace.fresh_folder("lists")
        files = []
        for number in range(count):
            file = folder / f"external-images-{number}.yaml"
            file.write_text(external_images(entries[number::count]))
            files.append(file)
        return files

    def sync(self, files, prefix, *options, expect=0, timeout=300):
        """Runs a sync to its end; returns target → outcome from the JSON report."""
        report = self.report(files, prefix, *options, expect=expect, timeout=timeout)
        return {item["target"]: item["outcome"] for item in report["items"]}

    def report(self, files, prefix, *options, expect=0, timeout=300):
        """Runs a sync to its end; returns its JSON report."""
        report = self._workplace.fresh_folder("report") / "report.json"
        command = self.command(files, prefix, "--report", str(report), *options)
        self._workplace.run(command, timeout=timeout, expect=(expect,))
        check(report.is_file(), "no report was written")
        return json.loads(report.read_text())


def check_outcomes(found, targets, outcome):
    """Every one of `targets` is in the report, with this outcome, and nothing else is."""
    check_equal(set(found) - set(targets), set(), "targets in the report that nobody asked for")
    check_equal(set(targets) - set(found), set(), "targets that the report lacks")
    others = {target: found[target] for target in targets if found[target] != outcome}
    check_equal(others, {}, f"items whose outcome is not {outcome}")
