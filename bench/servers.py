"""What stands at both ends: registries that log each request, relays with a delay, and a token service."""

import http.client
import json
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import Failure, free_port
from registries import READY_WITHIN, DockerRegistry, Zot

NETWORK = Path(__file__).resolve().parent / "network"
# What bench/network signs as.
ISSUER = SERVICE = "bench"


@dataclass(frozen=True)
class Request:
    """A line of an access log; `size` is that of the answer's body."""

    method: str
    path: str
    status: int
    size: int


@dataclass(frozen=True)
class Tokens:
    """Where tokens are given, and the certificate that they are checked with."""

    host: str
    certificate: Path
    process: subprocess.Popen
    log: Path

    @property
    def realm(self):
        return f"http://{self.host}/token"


class Logged:
    """A registry that logs each request, and that may want tokens."""

    def __init__(self, workplace, content=None, tokens=None):
        self.tokens = tokens
        if tokens:
            # So that it is ready when it refuses. Nobody of ours asks it for more.
            self.authorization = "Bearer"
        super().__init__(workplace, content)


class Distribution(Logged, DockerRegistry):
    """Debian's docker-registry."""

    kind = "distribution"

    def _access(self):
        access = {"log": {"level": "error"}}
        if self.tokens:
            access["auth"] = {
                "token": {
                    "realm": self.tokens.realm, "service": SERVICE, "issuer": ISSUER,
                    "rootcertbundle": str(self.tokens.certificate),
                }
            }  # fmt: skip
        return access

    @staticmethod
    def requests(log):
        """The requests in a part of the log's text: lines of Apache's combined log format."""
        line = re.compile(r'^\S+ - \S+ \[[^]]*\] "([A-Z]+) (\S+) HTTP/[0-9.]+" (\d+) (\d+) ', re.M)
        return [Request(method, path, int(status), int(size)) for method, path, status, size in line.findall(log)]


class LoggedZot(Logged, Zot):
    """zot, which does not mount without deduplication: better as a source."""

    def _arguments(self):
        arguments = super()._arguments()
        configuration = Path(arguments[-1])
        settings = json.loads(configuration.read_text())
        settings["log"]["level"] = "info"
        if self.tokens:
            settings["http"]["auth"] = {
                "bearer": {"realm": self.tokens.realm, "service": SERVICE, "cert": str(self.tokens.certificate)}
            }
        configuration.write_text(json.dumps(settings, indent=2))
        return arguments

    @staticmethod
    def requests(log):
        """The requests in a part of the log's text: one JSON object a line, with others among them."""
        found = []
        for line in log.splitlines():
            if line.endswith('"message":"HTTP API"}'):
                fields = json.loads(line)
                found.append(Request(fields["method"], fields["path"], fields["statusCode"], fields["bodySize"]))
        return found


KINDS = {kind.kind: kind for kind in (Distribution, LoggedZot)}


class Network:
    """Relays and token services, which are one program of Go."""

    def __init__(self, workplace, environment):
        self._workplace = workplace
        self._program = workplace.root / "network"
        try:
            subprocess.run(
                ["go", "build", "-o", self._program, "."], cwd=NETWORK, env=environment, check=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            raise Failure(f"bench/network could not be built:\n{error.stdout}") from None

    @contextmanager
    def relay(self, host, delay, relays):
        """The address of `host` at the end of a line of `delay` seconds each way; its process joins `relays`."""
        listen = f"127.0.0.1:{free_port()}"
        with self._started(listen, "relay", listen, host, f"{delay * 1000:g}ms") as (process, _):
            relays.append(process)
            yield listen

    @contextmanager
    def tokens(self, delay, relays):
        """A token service, at the end of the same kind of line as the registries if there is a delay."""
        listen = f"127.0.0.1:{free_port()}"
        certificate = self._workplace.fresh_folder("tokens") / "certificate.pem"
        with self._started(listen, "tokens", listen, certificate) as (process, log):
            if not delay:
                yield Tokens(listen, certificate, process, log)
                return
            with self.relay(listen, delay, relays) as far:
                yield Tokens(far, certificate, process, log)

    @contextmanager
    def _started(self, listen, *arguments):
        log = self._workplace.fresh_folder("network") / "log"
        process = self._workplace.start([self._program, *arguments], log)
        try:
            deadline = time.monotonic() + READY_WITHIN
            while not _accepts(listen):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise Failure(f"{' '.join(map(str, arguments))} did not get ready: {log.read_text()}")
                time.sleep(0.01)
            yield process, log
        finally:
            self._workplace.stop(process)


def _accepts(host):
    connection = http.client.HTTPConnection(host, timeout=2)
    try:
        connection.connect()
        return True
    except OSError:
        return False
    finally:
        connection.close()
