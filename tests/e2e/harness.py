"""What every group of cases uses: programs run with a time limit, a scratch folder, the book of cases.

A case either passes or fails; there is no third outcome. Every process that is started here ends with the
run, whatever way the run ends.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path


class Failure(Exception):
    """A case did not hold; the text says what was expected and what was found."""


class TooLong(Failure):
    """A program did not get to its end in time."""


def check(condition, message):
    """Fails the case with `message` unless `condition` holds."""
    if not condition:
        raise Failure(message)


def check_equal(found, expected, what):
    """Fails the case unless both are equal; long values are cut in the message."""
    if found != expected:
        raise Failure(f"{what}: expected {_short(expected)}, found {_short(found)}")


def _short(value, limit=1500):
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


class Workplace:
    """The run's folders, environment and processes."""

    def __init__(self, binary, tools, oci_client_pull, github_api, soak):
        self.binary = Path(binary).resolve()
        self.oci_client_pull = Path(oci_client_pull).resolve()
        self.github_api = Path(github_api).resolve()
        self.soak = Path(soak).resolve()
        self.tools = Path(tools).resolve()
        self.root = Path(tempfile.mkdtemp(prefix="image-syncer-e2e-"))
        self._processes = []
        self._at_end = []
        self._lock = threading.Lock()
        home = self.folder("home")
        # A clean environment: no docker configuration, no CI variables, no proxy for the loopback.
        self.environment = {
            "HOME": str(home),
            "PATH": f"{self.tools / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder("tmp")),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "COSIGN_PASSWORD": "",
            "TUF_ROOT": str(home / "tuf"),
        }
        atexit.register(self.close)

    def folder(self, name):
        """A folder of this name in the scratch folder, made when it is not there yet."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def fresh_folder(self, prefix):
        """A new empty folder in the scratch folder."""
        return Path(tempfile.mkdtemp(prefix=prefix + "-", dir=self.root))

    def start(self, arguments, log, environment=None):
        """Starts a long-running process whose output goes to the file `log`."""
        with open(log, "wb") as output:
            process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment, **(environment or {})},
                start_new_session=True,
            )
        with self._lock:
            self._processes.append(process)
        return process

    def stop(self, process, patience=5):
        """Ends a process of `start` and all of its children."""
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                pass
        _signal_group(process, signal.SIGKILL)
        process.wait()
        with self._lock:
            if process in self._processes:
                self._processes.remove(process)

    def run(self, arguments, timeout=60, expect=(0,), environment=None, directory=None, data=None):
        """Runs a program to its end and returns it; an exit code outside `expect` fails the case.

        `expect=None` takes every exit code. A program that outlives `timeout` seconds is killed with all
        of its children, and fails the case.
        """
        arguments = [str(argument) for argument in arguments]
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(environment or {})},
            cwd=directory or self.root,
            start_new_session=True,
        )
        with self._lock:
            self._processes.append(process)
        try:
            output, errors = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            output, errors = process.communicate()
            raise TooLong(
                f"{' '.join(arguments)}: not done after {timeout} s\n{_tail(output)}\n{_tail(errors)}"
            ) from None
        except BaseException:  # somebody stops the run: the program must not go on by itself
            _signal_group(process, signal.SIGKILL)
            process.wait()
            raise
        finally:
            with self._lock:
                self._processes.remove(process)
        if expect is not None and process.returncode not in expect:
            raise Failure(
                f"{' '.join(arguments)}: exit code {process.returncode}, expected "
                f"{' or '.join(map(str, expect))}\n{_tail(output)}\n{_tail(errors)}"
            )
        return Finished(process.returncode, output, errors)

    def at_end(self, function):
        """Has `function` called when the run ends, whatever way it ends, while its processes still run."""
        self._at_end.append(function)

    def close(self):
        """Ends every process that is still running and removes the scratch folder."""
        while self._at_end:
            try:
                self._at_end.pop()()
            except Exception:  # the rest has to go all the same
                traceback.print_exc()
        with self._lock:
            processes = list(self._processes)
            self._processes.clear()
        for process in processes:
            _signal_group(process, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)


@dataclass
class Finished:
    """A program that ended."""

    code: int
    output: bytes
    errors: bytes

    @property
    def text(self):
        return self.output.decode("utf-8", "replace")


def _signal_group(process, number):
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _tail(data, limit=3000):
    text = data.decode("utf-8", "replace").strip()
    return text if len(text) <= limit else "…" + text[-limit:]


def free_port():
    """A loopback port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Book:
    """Runs cases, prints a line for each, and counts them."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.names = []
        self._group = ""

    def group(self, name):
        self._group = name
        print(f"\n{name}", flush=True)

    def case(self, name, function, *arguments):
        """Runs one case. The value of `function`, when it is text, is printed beside the case's name."""
        self.names.append(f"{self._group}: {name}")
        started = time.monotonic()
        try:
            remark = function(*arguments)
        except Exception as error:  # whatever went wrong, the case did not hold
            self.failed += 1
            print(f"  FAIL {time.monotonic() - started:6.1f} s  {name}", flush=True)
            text = str(error) if isinstance(error, Failure) else traceback.format_exc()
            for line in text.splitlines():
                print(f"       {line}", flush=True)
            return False
        self.passed += 1
        remark = f"  ({remark})" if isinstance(remark, str) else ""
        print(f"  ok   {time.monotonic() - started:6.1f} s  {name}{remark}", flush=True)
        return True


def give_up_after(seconds, workplace, book):
    """Ends the whole run, as failed, when it takes longer than this."""

    def expire():
        print(f"\nnot done after {seconds} s: giving up\n{book.passed} passed, {book.failed + 1} failed", flush=True)
        workplace.close()
        sys.stdout.flush()
        os._exit(1)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    return timer
