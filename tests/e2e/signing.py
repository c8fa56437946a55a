"""The real cosign, with a key pair of the run's own and without any network beyond the registry."""

from harness import check

# cosign 3 asks a transparency log unless told otherwise; these flags keep it offline.
OFFLINE_SIGN = ("--use-signing-config=false", "--tlog-upload=false", "--yes")
OFFLINE_VERIFY = ("--insecure-ignore-tlog=true",)


class Signer:
    """Signs images at the source, verifies them at the target."""

    def __init__(self, workplace):
        self._workplace = workplace
        self._folder = workplace.fresh_folder("keys")
        workplace.run(["cosign", "generate-key-pair"], directory=self._folder)
        self._predicate = self._folder / "predicate.json"
        self._predicate.write_text('{"built": "by hand"}\n')

    def sign(self, registry, image):
        """Makes the signatures that the corpus asks for; an index is signed with all of its children."""
        reference = f"{registry.host}/{image.repository}@{image.root.digest}"
        for form in image.cosign:
            if form in ("tag", "bundle"):
                self.sign_reference(reference, form)
            if form == "attestation":
                for bundle in ("false", "true"):
                    self._cosign(
                        "attest", *OFFLINE_SIGN, f"--new-bundle-format={bundle}", "--key", "cosign.key",
                        "--type", "custom", "--predicate", self._predicate, reference,
                    )  # fmt: skip

    def sign_reference(self, reference, form, annotation="by=hand"):
        """Signs one image in the form "tag" (a .sig tag) or "bundle" (a referrer)."""
        self._cosign(
            "sign", *OFFLINE_SIGN, f"--new-bundle-format={'true' if form == 'bundle' else 'false'}",
            "--recursive", "--annotations", annotation, "--key", "cosign.key", reference,
        )  # fmt: skip

    def attest_reference(self, reference, form, predicate):
        """Attests SLSA provenance of one image, as a layer of an .att tag or as a bundle that refers to it."""
        path = self._folder / "provenance.json"
        path.write_text(predicate)
        self._cosign(
            "attest", *OFFLINE_SIGN, f"--new-bundle-format={'true' if form == 'bundle' else 'false'}",
            "--key", "cosign.key", "--type", "slsaprovenance1", "--predicate", path, reference,
        )  # fmt: skip

    def sign_as_before(self, reference):
        """Signs one image with cosign 2, which knows the .sig tag alone."""
        self._workplace.run(
            ["cosign2", "sign", "--tlog-upload=false", "--yes", "--key", "cosign.key", reference],
            timeout=120, directory=self._folder,
        )  # fmt: skip

    @property
    def public_key(self):
        """The public key in PEM."""
        return (self._folder / "cosign.pub").read_text()

    def verify(self, reference, form):
        """Verifies a signature in just this form: the other one must not be able to stand in for it."""
        found = self._cosign(
            "verify", *OFFLINE_VERIFY, f"--new-bundle-format={'true' if form == 'bundle' else 'false'}",
            "--key", "cosign.pub", reference,
        )  # fmt: skip
        check(reference.rpartition("@")[2] in found.text, f"cosign verify named another digest: {found.text}")

    def verify_attestation(self, reference, form):
        """Verifies an attestation in this form."""
        self._cosign(
            "verify-attestation", *OFFLINE_VERIFY, f"--new-bundle-format={'true' if form == 'bundle' else 'false'}",
            "--key", "cosign.pub", "--type", "custom", reference,
        )  # fmt: skip

    def _cosign(self, *arguments):
        return self._workplace.run(["cosign", *arguments], timeout=120, directory=self._folder)
