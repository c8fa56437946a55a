"""Runs all end-to-end cases; scripts/e2e starts this.

The exit code is 0 only if every case passed and exactly the expected number of cases was run.
"""

import argparse
import signal
import sys
import time

import cases_action
import cases_apply
import cases_conformance
import cases_debian
import cases_kill
import cases_layout
import cases_many
import cases_memory
import cases_mirror
import cases_renovate
import cases_shard
import cases_soak
import cases_trust
import cases_wild
from harness import Book, Workplace, give_up_after

# Groups in the order in which they run, each with its cases counted: a case that silently does not run is
# a failure.
GROUPS = {
    "conformance": cases_conformance,
    "mirror": cases_mirror,
    "layout": cases_layout,
    "apply": cases_apply,
    "wild": cases_wild,
    "debian": cases_debian,
    "renovate": cases_renovate,
    "shard": cases_shard,
    "trust": cases_trust,
    "action": cases_action,
}
FULL_GROUPS = {
    "memory": cases_memory,
    "many": cases_many,
    "kill": cases_kill,
    "soak": cases_soak,
}
MINUTES = 40
FULL_MINUTES = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the image-syncer program")
    parser.add_argument("--tools", required=True, help="the folder that scripts/tools fills")
    parser.add_argument("--oci-client-pull", required=True, help="the program examples/oci-client-pull.rs")
    parser.add_argument("--github-api", required=True, help="the program examples/github-api.rs")
    parser.add_argument("--soak", required=True, help="the test program of tests/soak")
    parser.add_argument("--full", action="store_true", help="add the long cases")
    parser.add_argument("--only", action="append", help="run only this group (while working on it)")
    options = parser.parse_args()
    groups = {**GROUPS, **(FULL_GROUPS if options.full else {})}
    for name in options.only or []:
        if name not in {**GROUPS, **FULL_GROUPS}:
            parser.error(f"there is no group {name}; there are {', '.join({**GROUPS, **FULL_GROUPS})}")
    if options.only:
        groups = {name: {**GROUPS, **FULL_GROUPS}[name] for name in options.only}

    # So that the scratch folder and all processes go also when somebody stops the run.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))

    started = time.monotonic()
    workplace = Workplace(options.binary, options.tools, options.oci_client_pull, options.github_api, options.soak)
    book = Book()
    give_up_after((FULL_MINUTES if options.full else MINUTES) * 60, workplace, book)
    try:
        for group in groups.values():
            expected = len(book.names) + group.CASES
            try:
                group.run(book, workplace)
            except Exception:  # a group that cannot begin is a failed case like any other
                book.case("the group ran to its end", _raise_again, sys.exc_info()[1])
            if len(book.names) != expected:
                book.case("the number of cases", _raise_again, AssertionError(
                    f"{len(book.names)} cases were run so far, {expected} are expected"
                ))
    finally:
        workplace.close()
    print(f"\n{len(book.names)} cases in {time.monotonic() - started:.0f} s")
    print(f"{book.passed} passed, {book.failed} failed", flush=True)
    return 0 if book.failed == 0 and book.passed > 0 else 1


def _raise_again(error):
    raise error


if __name__ == "__main__":
    sys.exit(main())
