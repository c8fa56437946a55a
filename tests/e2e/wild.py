"""What the cases of registries in the wild share: a run of the program, all that it wrote, and no secret in it."""

import base64
import json
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from content import image, layer
from corpus import Image
from harness import Failure, check, check_equal
from readback import Readers
from syncer import Syncer
from tokens import ACCOUNTS, TESTS, docker_config


@dataclass
class Told:
    """What a run told: its report, and what stood on standard output, or on standard error where it could not begin."""

    report: dict
    output: str

    def says(self, *texts):
        """Each of the texts stands in what a user sees, however its lines are broken."""
        seen = " ".join(self.output.replace("│", " ").split())
        for text in texts:
            check(text in seen, f"expected {text!r} in\n{self.output}")
        return self

    def expect(self, outcome):
        """What became of each image."""
        check_equal({item["outcome"] for item in self.report["items"]}, {outcome}, "outcomes")
        return self


class Wild:
    """Runs the program with a docker configuration, and reads the target back."""

    def __init__(self, workplace):
        self.workplace = workplace
        self._syncer = Syncer(workplace)
        # Functions that give what must not be told, beside the accounts' passwords.
        self._secrets = []

    def keeps_secret(self, secrets):
        """`secrets` gives texts that no run may write."""
        self._secrets.append(secrets)

    def sync(self, images, registry, *options, config=None, environment=None, expect=0, timeout=60):
        """Syncs these images (source → repository below `mirror/`) to a host, and checks that no secret was told."""
        folder = self.workplace.fresh_folder("wild")
        (folder / "config.json").write_text(config or "{}")
        files = self._syncer.write_lists([f'  - source: "{name}"\n    target: "{to}"\n' for name, to in images.items()])
        report, summary = folder / "report.json", folder / "summary.md"
        command = self._syncer.command(
            files, f"{registry}/mirror/", "--debug", "--report", str(report), "--summary", str(summary), *options
        )
        run = self.workplace.run(
            command, timeout=timeout, expect=None, environment={"DOCKER_CONFIG": str(folder), **(environment or {})}
        )
        written = [run.output, run.errors, *(file.read_bytes() for file in (report, summary) if file.exists())]
        everything = b"\n".join(written).decode("utf-8", "replace")
        self._check_silent(everything)
        output = run.output.decode() + (run.errors.decode() if not report.exists() else "")
        if run.code != expect:
            raise Failure(f"exit code {run.code}, expected {expect}\n{output}\n{run.errors.decode()[-3000:]}")
        document = json.loads(report.read_text()) if report.exists() else {"items": []}
        return Told(document, output)

    def _check_silent(self, text):
        secrets = [account.password for account in ACCOUNTS] + [account.basic for account in ACCOUNTS]
        for more in self._secrets:
            secrets += more()
        told = [secret for secret in secrets if any(form in text for form in _forms(secret))]
        check(not told, f"{len(told)} secrets were told in\n{text}")

    def push(self, registry, repository, tag="1", size=30_000):
        """An image of one layer, decided by its name, pushed to a registry."""
        made = Image(repository, tag, image([layer(f"wild {repository} {tag}", size)]))
        made.root.push(registry.client, repository, made.tag)
        return made

    def readers(self, *registries, environment=None):
        """Programs that may read these registries."""
        folder = self.workplace.fresh_folder("readers")
        (folder / "config.json").write_text(docker_config({each.host: TESTS for each in registries}))
        login = {
            "HOME": str(folder), "DOCKER_CONFIG": str(folder), "REGISTRY_AUTH_FILE": str(folder / "config.json"),
        }  # fmt: skip
        return Readers(self.workplace, {**login, **(environment or {})})

    def check_there(self, registry, repository, expected, *tools, environment=None):
        """The image is at the target, whole, as each of the programs reads it."""
        readers = self.readers(registry, environment=environment)
        if "regctl" in tools:
            readers.prepare(registry)
        self.check_read(readers, registry, repository, expected, *tools)

    def check_read(self, readers, registry, repository, expected, *tools):
        """The same, by readers who are prepared."""
        for tool in tools:
            folder = self.workplace.fresh_folder(tool)
            getattr(readers, tool)(f"{registry.host}/{repository}:{expected.tag}", expected, folder, True)

    def check_absent(self, registry, repository):
        check_equal(registry.client.manifest(repository, "1"), None, f"{repository} at {registry.host}")


def _forms(secret):
    """How a secret can be written: as it is, in Base64, in a URL."""
    data = secret.encode()
    encoded = [base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()]
    return {secret, quote(secret, safe=""), quote_plus(secret), *(text.rstrip("=") for text in encoded)}
