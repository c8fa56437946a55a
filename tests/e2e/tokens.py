"""A token service: grants tokens for registries to those who have accounts, and notes who asked for what.

It follows the distribution project's "Token Authentication Specification": a GET with `service` and any number of
`scope`, answered with a signed JWT whose `access` has what was granted. Who has no account gets a token that is good
for nothing.
"""

import base64
import fnmatch
import json
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from certificates import Pair, certificate
from served import Handler, Served

ISSUER = "e2e token service"
# So long after its end docker-registry still takes a token, for clocks that differ.
LEEWAY = 60


@dataclass(frozen=True)
class Account:
    """A user who may do `actions` in the repositories of `pattern`; `hashed` is bcrypt of the password."""

    user: str
    password: str
    hashed: str
    pattern: str
    actions: tuple

    def allows(self, repository, action):
        return fnmatch.fnmatchcase(repository, self.pattern) and action in self.actions

    @property
    def basic(self):
        """User and password as a request and a docker configuration have them."""
        return base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


# Passwords with what has a meaning in requests, in URLs and in shells.
READER = Account(
    "alice", "alice:e2e/p+w%21=1", "$2b$04$qlz0qwF0Fgq72jbTKkvASuFg3DNtaBO3KsJsAcD.fyLA1TiALTE1O",
    "private/**", ("pull",),
)  # fmt: skip
WRITER = Account(
    "bob", "bob e2e&p=w?2#é", "$2b$04$T/0z8p44fST8GCxc24hKKuZYsDj3d6JBT5hh7pmz.LfWhIxeiZBUe",
    "mirror/**", ("pull", "push"),
)  # fmt: skip
STRANGER = Account(
    "carol", "carol-e2e-password-3", "$2b$04$o7HQwJo1e5pOIoeTY0uXq.gC1YWO2iG4vZwlN.Gdo8SF35FTbTJ8y",
    "nothing/**", (),
)  # fmt: skip
# As whom the tests themselves read and write.
TESTS = Account(
    "tests", "tests-e2e-password-4", "$2b$04$VbULVp5NFxBh8pU/oPyONONXDDXWEoWfCTya3JLPdZ8sZ2ALHOJTO",
    "**", ("pull", "push"),
)  # fmt: skip
ACCOUNTS = (READER, WRITER, STRANGER, TESTS)


def docker_config(logins, **more):
    """A docker configuration: `logins` is key → account, or key → the text that `auth` is to be."""
    auths = {key: {"auth": login if isinstance(login, str) else login.basic} for key, login in logins.items()}
    return json.dumps({"auths": auths, **more})


@dataclass(frozen=True)
class Asked:
    """One request for a token: by whom (None for nobody), for which scopes, and whether there was one."""

    user: str | None
    scopes: tuple
    status: int


class TokenService(Served):
    """Listens on a free loopback port. Its tokens say that they live `told` seconds, and live `lifetime`."""

    name = "registry.e2e"

    def __init__(self, workplace, lifetime=300, told=None, leeway=0):
        self._workplace = workplace
        self._lifetime = lifetime
        self._told = lifetime if told is None else told
        self._leeway = leeway
        folder = workplace.fresh_folder("tokens")
        certificate(workplace, folder, "tokens", "basicConstraints=critical,CA:TRUE", key=("rsa:2048",))
        self.pair = Pair(folder / "tokens.pem", folder / "tokens.key")
        body = self.pair.certificate.read_text().split("-----")[2]
        self._chain = ["".join(body.split())]
        self.asked = []
        self.issued = []
        super().__init__(_Handler)
        self.realm = f"http://{self.address}/token"

    def forget(self):
        """Begins a new list of who asked."""
        with self.lock:
            self.asked = []

    def all_issued(self):
        """Every token that there is."""
        with self.lock:
            return list(self.issued)

    def login(self, authorization):
        """The account of a Basic authorization; None where there is none, False where it is wrong."""
        if not authorization:
            return None
        scheme, _, value = authorization.partition(" ")
        found = [each for each in ACCOUNTS if scheme.lower() == "basic" and each.basic == value]
        return found[0] if found else False

    def answer(self, authorization, query):
        """The status and the document for a request."""
        account = self.login(authorization)
        scopes = tuple(scope for text in query.get("scope", []) for scope in text.split(" "))
        status = 401 if account is False else 200
        with self.lock:
            self.asked.append(Asked(account.user if account else None, scopes, status))
        if status == 401:
            return status, {"errors": [{"code": "UNAUTHORIZED", "message": "no such account, or a wrong password"}]}
        token = self.token(account.user if account else "", self._granted(account, scopes))
        return status, {"token": token, "access_token": token, "expires_in": self._told}

    def _granted(self, account, scopes):
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            repository, _, actions = rest.rpartition(":")
            allowed = [
                action for action in actions.split(",")
                if account and kind == "repository" and account.allows(repository, action)
            ]  # fmt: skip
            access.append({"type": kind, "name": repository, "actions": allowed})
        return access

    def token(self, subject, access, lifetime=None):
        """A signed JWT with this access."""
        now = int(time.time())
        end = now + (self._lifetime if lifetime is None else lifetime) - self._leeway
        claims = {
            "iss": ISSUER, "sub": subject, "aud": self.name, "exp": end, "nbf": now - 120, "iat": now,
            "jti": base64.b64encode(f"{time.monotonic_ns()}".encode()).decode(), "access": access,
        }  # fmt: skip
        header = {"typ": "JWT", "alg": "RS256", "x5c": self._chain}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        sign = ["openssl", "dgst", "-sha256", "-sign", self.pair.key]
        signature = self._workplace.run(sign, data=signed.encode()).output
        token = f"{signed}.{_base64url(signature)}"
        with self.lock:
            self.issued.append(token)
        return token

    def token_for_tests(self, *repositories):
        """The authorization of the tests' own client: everything, in these repositories, for the whole run."""
        access = [{"type": "repository", "name": name, "actions": ["pull", "push"]} for name in repositories]
        return "Bearer " + self.token("tests", access, 3600)


def _base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class _Handler(Handler):
    def do_GET(self):
        parts = urlsplit(self.path)
        status, document = self.owner.answer(self.headers.get("Authorization"), parse_qs(parts.query))
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
