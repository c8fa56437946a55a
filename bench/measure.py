"""What one run of a program costs: its time, processor time and memory, and what else the machine did."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One run. Times are in seconds, memory in KiB.

    `cpu` is that of the program and all of its children, `registries` and `relays` that of those meanwhile,
    and `others` the share (0 to 1) of the machine's processors that everybody else had, the kernel included.
    `memory` is the peak of the largest single process.
    """

    seconds: float
    cpu: float
    registries: float
    relays: float
    others: float
    memory: int


def run(workplace, command, registries, relays, timeout, **options):
    """Runs a command to its end under GNU time; an exit code other than 0 raises a Failure."""
    report = workplace.fresh_folder("time") / "report"
    # Dirty pages of whoever ran before are not to be written on this run's time.
    os.sync()
    busy, total = _machine()
    before = cpu_of(registries), cpu_of(relays)
    started = time.monotonic()
    workplace.run(["/usr/bin/time", "-f", "%U %S %M", "-o", report, *command], timeout=timeout, **options)
    seconds = time.monotonic() - started
    served, passed = cpu_of(registries) - before[0], cpu_of(relays) - before[1]
    busy_after, total_after = _machine()
    user, system, memory = report.read_text().split()[-3:]
    cpu = float(user) + float(system)
    others = ((busy_after - busy) / TICKS - cpu - served - passed) / max((total_after - total) / TICKS, 0.01)
    return Sample(seconds, cpu, served, passed, max(others, 0.0), int(memory))


def cpu_of(processes):
    """Processor seconds that running processes have used, without their children."""
    return sum(map(_cpu_of, processes))


def _machine():
    """Ticks that all processors were busy so far, and ticks in all."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, idle, waiting, interrupts, soft_interrupts, stolen = map(int, fields[:8])
    busy = user + nice + system + interrupts + soft_interrupts + stolen
    return busy, busy + idle + waiting


def _cpu_of(process):
    # The name, in parentheses, may hold blanks; what follows it does not (proc(5)).
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
