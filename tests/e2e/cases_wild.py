"""Registries in the wild: with tokens, passwords and certificates of their own, behind a small limit and a proxy.

Each case asserts what is at the target by another program, and what the program says where it is refused. All
that it writes, the debug log included, is searched for passwords, keys and tokens.
"""

import base64
import json
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from certificates import Authority
from guarded import Nginx, PasswordZot, TlsDockerRegistry, TokenDockerRegistry, TokenZot
from harness import check, check_equal, free_port
from proxy import counting
from registries import DockerRegistry
from tokens import LEEWAY, READER, STRANGER, WRITER, TokenService, docker_config
from tunnel import Tunnels
from wild import Wild

CASES = 3 * 3 + 1 + 4 + 3 + 1 + 4 + 5
# A user whom nobody knows; what was mistyped is a secret, too.
NOBODY = "nobody:e2e-wrong-password"
WRONG = base64.b64encode(NOBODY.encode()).decode()


def run(book, workplace):
    book.group("registries in the wild")
    wild = Wild(workplace)
    wild.keeps_secret(lambda: [NOBODY, NOBODY.partition(":")[2]])
    with DockerRegistry(workplace) as plain, ThreadPoolExecutor(2) as beside:
        helpers, proxied = Helpers(wild, plain), Proxied(wild)
        # These take all the patience that the program has: so long the others run.
        hanging, gone = beside.submit(helpers.hanging), beside.submit(proxied.gone)
        for kind in (token_zot, token_docker_registry, password_zot):
            with kind(wild) as guarded:
                Guarded(wild, plain, guarded).run(book)
        book.case("docker-registry: tokens that end in the middle of a run are renewed", renewal, wild)
        Certificates(wild, plain).run(book)
        book.case("nginx: a layer that is larger than it takes arrives in pieces", small_bodies, wild, plain)
        proxied.run(book, gone)
        helpers.run(book, hanging)


# Registries, each with all accounts.


@contextmanager
def _with_tokens(wild, kind, **how):
    with TokenService(wild.workplace, **how) as tokens:
        wild.keeps_secret(tokens.all_issued)
        with kind(wild.workplace, tokens, "private/app", "mirror/app") as registry:
            yield registry


def token_zot(wild):
    return _with_tokens(wild, TokenZot)


def token_docker_registry(wild, **how):
    return _with_tokens(wild, TokenDockerRegistry, leeway=LEEWAY, **how)


def password_zot(wild):
    return PasswordZot(wild.workplace)


class Guarded:
    """A registry that lets nobody in without a login, and each account into its own repositories only."""

    def __init__(self, wild, plain, guarded):
        self.wild = wild
        self.plain = plain
        self.guarded = guarded
        self.public = wild.push(plain, "team/app")
        self.private = wild.push(guarded, "private/app")
        self.has_tokens = guarded.tokens is not None
        # crane wants no token service on a loopback address.
        self.readers = ("skopeo", "regctl") if self.has_tokens else ("crane", "skopeo", "regctl")

    def run(self, book):
        kind = self.guarded.kind
        book.case(f"{kind}: who has no login, the wrong one or no right is told so", self.refused)
        book.case(f"{kind}: images come in and go out again", self.in_and_out)
        book.case(f"{kind}: source and target in one registry, with a login for each", self.two_logins)

    def sync(self, source, registry, to, logins, **more):
        name = f"{source.host}/{'private/app' if source is self.guarded else 'team/app'}:1"
        return self.wild.sync({name: to}, registry.host, config=docker_config(logins), **more)

    def refused(self):
        host = self.guarded.host
        nobody = f"{host} answered 401 Unauthorized; log in to {host} with an account"
        # A token says what its bearer may do, and so a registry with tokens does not know who has not the right.
        shown = f"{host} answered 401 Unauthorized; {host} does not accept the login that it was shown"
        wrong = f"check the user name and password for {host}" if self.has_tokens else shown
        stranger = shown if self.has_tokens else f"403 Forbidden; the account used at {host} lacks the right"
        for logins, says in (
            ({}, nobody),
            ({f"{host}/mirror/apps": WRITER}, nobody),
            ({host: WRONG}, wrong),
            ({host: STRANGER}, stranger),
        ):
            told = self.sync(self.plain, self.guarded, "app", logins, expect=1).expect("blocked")
            told.says("target: failed to", says)
            self.wild.check_absent(self.guarded, "mirror/app")

    def in_and_out(self):
        host = self.guarded.host
        self.sync(self.plain, self.guarded, "in", {host: WRITER}).expect("copied")
        self.wild.check_there(self.guarded, "mirror/in", self.public, *self.readers)
        out = f"out/{self.guarded.kind}"
        self.sync(self.guarded, self.plain, out, {host: WRITER}, expect=1).expect("blocked").says("source: failed to")
        self.wild.check_absent(self.plain, f"mirror/{out}")
        self.sync(self.guarded, self.plain, out, {host: READER}).expect("copied")
        self.wild.check_there(self.plain, f"mirror/{out}", self.private, "crane", "skopeo", "regctl")

    def two_logins(self):
        host = self.guarded.host
        for read, write, side in (
            (WRITER, WRITER, "source"), (READER, READER, "target"), (WRITER, READER, "target"),
        ):  # fmt: skip
            logins = {host: STRANGER, f"{host}/private": read, f"{host}/mirror": write}
            told = self.sync(self.guarded, self.guarded, "app", logins, expect=1).expect("blocked")
            told.says(f"{side}: failed to")
            self.wild.check_absent(self.guarded, "mirror/app")
        if self.has_tokens:
            self.guarded.tokens.forget()
        logins = {host: STRANGER, f"{host}/private/app": READER, f"{host}/mirror": WRITER}
        self.sync(self.guarded, self.guarded, "app", logins).expect("copied")
        if self.has_tokens:
            asked = {(each.user, scope) for each in self.guarded.tokens.asked for scope in each.scopes}
            expected = {(READER.user, "repository:private/app:pull"), (WRITER.user, "repository:mirror/app:pull,push")}
            check_equal(asked, expected, "whose login was used for what")
        self.wild.check_there(self.guarded, "mirror/app", self.private, *self.readers)


def renewal(wild):
    """The source's tokens say when they end, and those of the target end earlier than they say."""
    with (
        token_docker_registry(wild, lifetime=20) as source,
        token_docker_registry(wild, lifetime=3, told=300) as target,
        counting(source, bytes_per_second=100_000) as slow, counting(target) as before,
    ):  # fmt: skip
        images = [wild.push(source, "private/app", str(number), 80_000) for number in range(15)]
        names = {f"{slow.host}/private/app:{image.tag}": "app" for image in images}
        config = docker_config({slow.host: READER, before.host: WRITER})
        wild.sync(names, before.host, "--concurrency", "2", config=config).expect("copied")
        for image in images:
            check_equal(target.client.digest("mirror/app", image.tag), image.root.digest, f"digest of {image.name}")
        wild.check_there(target, "mirror/app", images[-1], "skopeo")
        refused = [request for request in slow.counted() if request.status == 401]
        check(len(refused) <= 2, f"the source refused {len(refused)} requests, and not only the first ones")
        ahead = len([asked for asked in source.tokens.asked if asked.user == READER.user])
        check(2 <= ahead <= 6, f"{ahead} tokens for the source")
        late = len([asked for asked in target.tokens.asked if asked.user == WRITER.user])
        check(3 <= late <= 25, f"{late} tokens for the target")
        return f"{ahead} tokens for the source, {late} for the target"


class Certificates:
    """An authority of one's own, for servers and for clients."""

    def __init__(self, wild, plain):
        self.wild = wild
        self.plain = plain
        self.image = wild.push(plain, "team/app")
        self.own = Authority(wild.workplace)
        self.foreign = Authority(wild.workplace, "foreign")
        self.client = self.own.issue("client")
        self.stranger = self.foreign.issue("stranger")
        keys = [pair.key.read_text().splitlines()[1] for pair in (self.client, self.stranger)]
        wild.keeps_secret(lambda: keys)

    def run(self, book):
        workplace = self.wild.workplace
        with TlsDockerRegistry(workplace, self.own) as self.registry:
            book.case("TLS: an authority that nobody knows is named with --ca-file", self.unknown)
            book.case("TLS: a file that has no certificate is a mistake", self.no_certificate)
            book.case("TLS: with --ca-file images come in", self.known)
            book.case("TLS: with --ca-file images go out again", self.out)
        with TlsDockerRegistry(workplace, self.own, client=self.client) as self.registry:
            book.case("mTLS: who shows no certificate, or a stranger's, is told so", self.no_client)
            book.case("mTLS: a key that belongs to another certificate is a mistake", self.no_pair)
            book.case("mTLS: with --client-cert and --client-key images come in", self.known_client)

    def sync(self, *options, **more):
        host = self.registry.host
        return self.wild.sync(
            {f"{self.plain.host}/team/app:1": "app"}, host, "--endpoint", f"{host}=https://{host}", *options, **more
        )

    def trust(self, authority, client=None, key=None):
        options = ["--ca-file", str(authority.certificate)]
        if client:
            options += ["--client-cert", str(client.certificate), "--client-key", str(key or client.key)]
        return options

    def unknown(self):
        for options in ([], self.trust(self.foreign)):
            told = self.sync(*options, expect=1).expect("blocked")
            told.says("invalid peer certificate: UnknownIssuer", "is named with --ca-file")
        self.wild.check_absent(self.registry, "mirror/app")

    def no_certificate(self):
        nowhere = self.own.certificate.with_name("nowhere.pem")
        self.sync("--ca-file", str(nowhere), expect=2).says(f"--ca-file: failed to read {nowhere}")
        key = str(self.client.key)
        self.sync("--ca-file", key, expect=2).says("the CA file cannot be used: it holds no PEM certificate")

    def known(self):
        self.sync(*self.trust(self.own)).expect("copied")
        trust = {"SSL_CERT_FILE": str(self.own.certificate)}
        self.wild.check_there(self.registry, "mirror/app", self.image, "crane", environment=trust)

    def out(self):
        host = self.registry.host
        names = {f"{host}/mirror/app:1": "out/tls"}
        options = ["--endpoint", f"{host}=https://{host}", *self.trust(self.own)]
        self.wild.sync(names, self.plain.host, *options).expect("copied")
        self.wild.check_there(self.plain, "mirror/out/tls", self.image, "crane", "skopeo", "regctl")

    def no_client(self):
        for client in (None, self.stranger):
            told = self.sync(*self.trust(self.own, client), expect=1).expect("blocked")
            told.says("it wants a client certificate that it trusts, which --client-cert and --client-key name")
        self.wild.check_absent(self.registry, "mirror/app")

    def no_pair(self):
        told = self.sync(*self.trust(self.own, self.client, self.stranger.key), expect=2)
        told.says("the client certificate cannot be used: the key belongs to another certificate")
        told = self.sync(*self.trust(self.own), "--client-cert", str(self.client.certificate), expect=2)
        told.says("--client-cert and --client-key are given together")

    def known_client(self):
        self.sync(*self.trust(self.own, self.client)).expect("copied")
        readers = self.wild.readers(self.registry)
        readers.prepare(self.registry, self.own.certificate, self.client)
        self.wild.check_read(readers, self.registry, "mirror/app", self.image, "regctl")


def small_bodies(wild, plain):
    """A server that takes bodies of a mebibyte, as nginx does by itself, stands before a registry."""
    with DockerRegistry(wild.workplace) as registry, Nginx(wild.workplace, registry, 1024 * 1024) as nginx:
        small, large = wild.push(plain, "team/app"), wild.push(plain, "team/large", size=3_000_000)
        wild.sync({f"{plain.host}/team/app:1": "small"}, nginx.host).expect("copied")
        wild.check_there(nginx, "mirror/small", small, "crane", "skopeo", "regctl")
        wild.sync({f"{plain.host}/team/large:1": "large"}, nginx.host).expect("copied")
        wild.check_there(nginx, "mirror/large", large, "crane", "skopeo", "regctl")
        check("413" in nginx.statuses(), f"nothing was too large for nginx: {nginx.statuses()}")


class Proxied:
    """Registries whose names only a proxy can resolve, and which has a password of its own."""

    LOGIN = "surfer:proxy-e2e-password-7"
    SOURCE = "source.wild.test"
    TARGET = "target.wild.test:8443"

    def __init__(self, wild):
        self.wild = wild
        self.own = Authority(wild.workplace)
        wild.keeps_secret(lambda: [self.LOGIN, self.LOGIN.partition(":")[2]])

    def run(self, book, gone):
        names = ("IP:127.0.0.1", "IP:0.0.0.0", "DNS:*.wild.test")
        with (
            TlsDockerRegistry(self.wild.workplace, self.own, names) as self.source,
            TlsDockerRegistry(self.wild.workplace, self.own, names) as self.target,
        ):  # fmt: skip
            self.image = self.wild.push(self.source, "team/app")
            # An address of this machine that does not count as one: a proxy is used for it, unless NO_PROXY has it.
            self.here = self.source.host.replace("127.0.0.1", "0.0.0.0")
            hosts = {f"{self.SOURCE}:443": self.source.host, self.TARGET: self.target.host, self.here: self.source.host}
            with Tunnels(hosts, self.LOGIN) as self.proxy:
                book.case("proxy: without its password nothing gets through", self.refused)
                book.case("proxy: source and target are reached through it", self.through)
                book.case("proxy: what NO_PROXY has is reached directly", self.around)
        book.case("proxy: one that is not there is told, and not its hosts", self.told_gone, gone)

    def sync(self, source, to, login, no_proxy="", **more):
        self.proxy.forget()
        return self.sync_by(f"http://{login}{self.proxy.address}", source, to, no_proxy, **more)

    def sync_by(self, proxy, source, to, no_proxy="", **more):
        environment = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": no_proxy, "no_proxy": no_proxy}
        ca = ("--ca-file", str(self.own.certificate))
        return self.wild.sync({f"{source}/team/app:1": to}, self.TARGET, *ca, environment=environment, **more)

    def gone(self):
        proxy = f"http://{self.LOGIN}@127.0.0.1:{free_port()}"
        return self.sync_by(proxy, self.SOURCE, "app", expect=1, timeout=75)

    def told_gone(self, gone):
        told = gone.result().expect("blocked")
        told.says(f"cannot connect to {self.TARGET} through the proxy: Connection refused", "HTTPS_PROXY names")

    def refused(self):
        for login in ("", f"{NOBODY}@"):
            told = self.sync(self.SOURCE, "app", login, expect=1).expect("blocked")
            told.says(f"cannot connect to {self.TARGET} through the proxy", "it wants a login, written as")
            check_equal(self.proxy.statuses(self.TARGET), {407}, "answers of the proxy")
        self.wild.check_absent(self.target, "mirror/app")

    def through(self):
        self.sync(self.SOURCE, "app", f"{self.LOGIN}@").expect("copied")
        for host in (f"{self.SOURCE}:443", self.TARGET):
            check_equal(self.proxy.statuses(host), {200}, f"answers of the proxy for {host}")
        self.check_there("mirror/app")

    def around(self):
        for no_proxy, statuses in (("0.0.0.0,.example.com", set()), (".example.com", {200})):
            to = f"around{len(statuses)}"
            self.sync(self.here, to, f"{self.LOGIN}@", no_proxy).expect("copied")
            check_equal(self.proxy.statuses(self.here), statuses, f"answers of the proxy with NO_PROXY={no_proxy}")
            check_equal(self.proxy.statuses(self.TARGET), {200}, "answers of the proxy for the target")
            self.check_there(f"mirror/{to}")

    def check_there(self, repository):
        trust = {"SSL_CERT_FILE": str(self.own.certificate)}
        self.wild.check_there(self.target, repository, self.image, "crane", environment=trust)


class Helpers:
    """Programs that docker asks for credentials: shell scripts, in a folder of PATH."""

    def __init__(self, wild, plain):
        self.wild = wild
        self.plain = plain
        self.image = wild.push(plain, "team/app")
        self.folder = wild.workplace.fresh_folder("helpers")
        answer = shlex.quote(json.dumps({"ServerURL": "", "Username": WRITER.user, "Secret": WRITER.password}))
        for name, script in {
            "works": f"read -r asked; echo \"$asked\" >>{self.folder}/asked; printf %s {answer}",
            "chatty": f"echo the password is {shlex.quote(WRITER.password)}",
            "broken": f"echo no store for {shlex.quote(WRITER.password)} | tee /dev/stderr; exit 3",
            "hangs": "exec sleep 600",
        }.items():
            helper = self.folder / f"docker-credential-{name}"
            helper.write_text(f"#!/bin/sh\n{script}\n")
            helper.chmod(0o755)

    def run(self, book, hanging):
        with password_zot(self.wild) as self.target:
            book.case("a credential helper is asked", self.works)
            for what, helper, says in (
                ("prints something else", "chatty", "printed something that is no"),
                ("fails", "broken", "failed with exit status: 3"),
                ("is not there", "absent", "is named in the docker configuration but not installed"),
            ):
                book.case(f"a credential helper that {what}", self.fails, helper, says)
        book.case("a credential helper that hangs", self.hung, hanging)

    def sync(self, target, helper, **more):
        environment = {"PATH": f"{self.folder}:{self.wild.workplace.environment['PATH']}"}
        config = json.dumps({"credHelpers": {target.host: helper}})
        names = {f"{self.plain.host}/team/app:1": "app"}
        return self.wild.sync(names, target.host, config=config, environment=environment, **more)

    def fails(self, helper, says):
        told = self.sync(self.target, helper, expect=1).expect("blocked")
        told.says(f"the credential helper docker-credential-{helper} {says}")
        self.wild.check_absent(self.target, "mirror/app")

    def works(self):
        self.sync(self.target, "works").expect("copied")
        check_equal((self.folder / "asked").read_text(), f"{self.target.host}\n", "what the helper was asked")
        self.wild.check_there(self.target, "mirror/app", self.image, "crane", "skopeo", "regctl")
        self.target.client.request("DELETE", f"/v2/mirror/app/manifests/{self.image.root.digest}")

    def hanging(self):
        with password_zot(self.wild) as target:
            told = self.sync(target, "hangs", expect=1, timeout=75)
            self.wild.check_absent(target, "mirror/app")
            return told

    def hung(self, hanging):
        told = hanging.result().expect("blocked")
        told.says("the credential helper docker-credential-hangs did not answer within 30 s")
