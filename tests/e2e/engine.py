"""Docker's engine for the run alone: its data, its state and its socket are in the scratch folder.

It gets no bridge and changes no firewall, so its containers share the machine's network. When the run ends, so do
the engine, its containers, and what they have mounted.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import Failure, check

READY_WITHIN = 60
# Debian's own client beside its engine: another one in the path may be too new to speak to it.
CLIENT = "/usr/bin/docker"


class Engine:
    """A running engine; `docker` runs its client."""

    def __init__(self, workplace):
        self._workplace = workplace
        self.folder = workplace.folder("docker")
        self.socket = self.folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self._state = self.folder / "state"
        log = workplace.folder("logs") / "dockerd.log"
        check(os.path.exists(CLIENT), f"{CLIENT} is missing")
        workplace.at_end(self.close)
        self._process = workplace.start([
            # The engine ends also when nobody is left to stop it.
            "setpriv", "--pdeathsig", "TERM", "dockerd",
            "--host", self.host, "--data-root", self.folder / "data", "--exec-root", self._state,
            "--pidfile", self.folder / "pid", "--config-file", self._configuration(),
            "--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout", "5",
        ], log)  # fmt: skip
        deadline = time.monotonic() + READY_WITHIN
        while self._client("version").returncode != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise Failure(f"dockerd did not get ready:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def _configuration(self):
        # vfs needs nothing of the file system and leaves no mounts; the images here are small.
        path = self.folder / "daemon.json"
        path.write_text(json.dumps({"storage-driver": "vfs"}))
        return path

    def _client(self, *arguments):
        return subprocess.run(
            [CLIENT, "--host", self.host, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, env=self._workplace.environment, timeout=30, check=False,
        )  # fmt: skip

    def docker(self, *arguments, **options):
        """Runs the client to its end, as `Workplace.run` does."""
        return self._workplace.run([CLIENT, "--host", self.host, *arguments], **options)

    def environment(self):
        """Variables with which other programs find the engine and its client."""
        folder = self._workplace.folder("docker-client")
        link = folder / "docker"
        if not link.exists():
            link.symlink_to(CLIENT)
        path = f"{folder}:{self._workplace.environment['PATH']}:{os.environ['PATH']}"
        return {"DOCKER_HOST": self.host, "PATH": path}

    def close(self):
        """Stops the containers and the engine, and takes away what they leave."""
        if self._state is None:
            return
        try:
            if running := self._client("ps", "--quiet").stdout.decode().split():
                self._client("kill", *running)
        except subprocess.TimeoutExpired:
            pass
        self._workplace.stop(self._process, patience=20)
        for process in _processes_of(str(self.folder)):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._state = None


def _processes_of(folder):
    """The processes whose command line names the folder: containerd, and what stands between it and containers."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if words.startswith(("containerd", "/usr/bin/containerd")) and folder in words:
                yield int(entry.name)
