"""Machines that are network namespaces: each with an address of its own on one bridge, as in a rack with one switch.

They want root and iproute2. A registry on the host sees by the address which of them asks.
"""

import os
from contextlib import contextmanager

from harness import Failure

# For tests of networks (RFC 2544): nobody's own network is there.
NETWORK = "198.18.71"
HOST = f"{NETWORK}.1"


class Machine:
    """One of them; `inside` is the beginning of a command that is to run there."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.inside = ["ip", "netns", "exec", name]


@contextmanager
def machines(workplace, count):
    """So many machines and the bridge to the host, for as long as the block runs."""
    if os.geteuid() != 0:
        raise Failure("network namespaces want root; run this group as root")
    mark = f"is{os.getpid() % 100_000}"
    bridge, made = f"{mark}b", []

    def ip(*arguments, expect=(0,)):
        workplace.run(["ip", *arguments], timeout=20, expect=expect)

    def remove():
        for machine in made:
            ip("netns", "delete", machine.name, expect=None)
        made.clear()
        ip("link", "delete", bridge, expect=None)

    workplace.at_end(remove)
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{HOST}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number in range(count):
            machine = Machine(f"{mark}m{number}", f"{NETWORK}.{number + 11}")
            ip("netns", "add", machine.name)
            made.append(machine)
            ip("link", "add", f"{mark}v{number}", "type", "veth", "peer", "name", "eth0", "netns", machine.name)
            ip("link", "set", f"{mark}v{number}", "master", bridge, "up")
            ip("-netns", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            ip("-netns", machine.name, "link", "set", "eth0", "up")
        yield list(made)
    finally:
        remove()
