"""Certificates and keys, made with openssl: an authority of a company's own, and what it vouches for."""

import ssl
from dataclasses import dataclass
from pathlib import Path


def certificate(workplace, folder, name, extension, *more, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """Makes `name`.pem and `name`.key in the folder: signed by itself, unless `more` names an authority."""
    workplace.run([
        "openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "2", "-subj", f"/CN=e2e {name}",
        "-addext", extension, "-keyout", f"{name}.key", "-out", f"{name}.pem", *more,
    ], directory=folder)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and of its key, both PEM."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates for servers and for clients; `certificate` is the file that makes them trusted."""

    def __init__(self, workplace, name="authority"):
        self._workplace = workplace
        self._folder = workplace.fresh_folder(name)
        self._name = name
        certificate(workplace, self._folder, name, "basicConstraints=critical,CA:TRUE")
        self.certificate = self._folder / f"{name}.pem"

    def issue(self, name, *alternatives):
        """A certificate for these alternative names, such as `IP:127.0.0.1`; for a client there need be none."""
        names = ("-addext", "subjectAltName=" + ",".join(alternatives)) if alternatives else ()
        certificate(
            self._workplace, self._folder, name, "basicConstraints=critical,CA:FALSE", *names,
            "-CA", f"{self._name}.pem", "-CAkey", f"{self._name}.key",
        )  # fmt: skip
        return Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def context(self, client=None):
        """For the tests' own connections: trusts this authority, and shows a client's certificate, if there is one."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if client:
            context.load_cert_chain(client.certificate, client.key)
        return context
