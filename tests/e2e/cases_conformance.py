"""Our own `serve` under the distribution specification's conformance suite, and what that suite lacks.

The suite's pinned version has no cases for referrers, so those are asked for here: they follow the
specification's version 1.1, "Listing Referrers" and "Pushing Manifests with Subject".
"""

import json
import re
import xml.etree.ElementTree as ElementTree

from client import MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST, digest_of
from content import artifact, image, layer
from harness import check, check_equal
from registries import ServeLayout, ServeMemory

SERVERS = (ServeMemory, ServeLayout)
CASES = 5 * len(SERVERS)

# With all four categories on, these can never run together with the others: two need content that was put
# there in advance and named in variables, one is the other branch of a mount that worked, one is the
# opposite of OCI_AUTOMATIC_CROSSMOUNT=1 (`serve` does find a blob to mount by itself).
SKIPPED = {
    "Pull Setup Get tag name from environment",
    "Push Cross-Repository Blob Mount Cross-mounting of nonexistent blob should yield session id",
    "Push Cross-Repository Blob Mount Cross-mounting without from, and automatic content discovery disabled "
    "should return a 202",
    "Content Discovery Setup Populate registry with test tags (no push)",
}
SPECS = 68


def run(book, workplace):
    for kind in SERVERS:
        book.group(f"conformance of {kind.kind}")
        with kind(workplace) as registry:
            server = Server(workplace, registry)
            book.case("the conformance suite passes, all four categories", server.suite)
            book.case("referrers are listed, filtered and deleted", server.referrers)
            book.case("tags and repositories are listed in pages", server.pages)
            book.case("uploads: wrong digests and unfinished ones leave nothing", server.refusals)
            book.case("ranges and conditional details of pulls", server.pulls)


class Server:
    """One running `serve`."""

    def __init__(self, workplace, registry):
        self.workplace = workplace
        self.registry = registry
        self.client = registry.client

    def suite(self):
        folder = self.workplace.fresh_folder("conformance")
        environment = {
            "OCI_ROOT_URL": f"http://{self.registry.host}",
            "OCI_NAMESPACE": "conformance/one",
            "OCI_CROSSMOUNT_NAMESPACE": "conformance/two",
            "OCI_AUTOMATIC_CROSSMOUNT": "1",
            "OCI_TEST_PULL": "1",
            "OCI_TEST_PUSH": "1",
            "OCI_TEST_CONTENT_DISCOVERY": "1",
            "OCI_TEST_CONTENT_MANAGEMENT": "1",
            "OCI_HIDE_SKIPPED_WORKFLOWS": "0",
        }
        finished = self.workplace.run(
            ["conformance"], timeout=120, expect=None, environment=environment, directory=folder
        )
        report = ElementTree.parse(folder / "junit.xml").getroot()
        failed = {_spec(case) for case in report.iter("testcase") if case.find("failure") is not None}
        check_equal(failed, set(), "specs that failed")
        skipped = {_spec(case) for case in report.iter("testcase") if case.find("skipped") is not None}
        check_equal(skipped, SKIPPED, "specs that were skipped")
        check_equal(finished.code, 0, "exit code of the suite")
        ran = re.search(r"Ran (\d+) of (\d+) Specs", finished.text)
        check(ran, "the suite did not say how many specs it ran")
        check_equal(ran.groups(), (str(SPECS - len(SKIPPED)), str(SPECS)), "specs that ran, and all")
        return f"{ran.group(1)} specs ran, {len(SKIPPED)} cannot run together with them"

    def referrers(self):
        repository = "referrers/app"
        subject = image([layer("referrers", 1000)])
        listed = self._referrers(repository, subject.digest)
        check_equal(listed, [], "referrers in a repository that does not exist, which are none, not an error")

        # A referrer may come before its subject.
        kinds = ("application/vnd.example.one", "application/vnd.example.two", "application/vnd.example.one")
        pushed = [
            artifact(kind, subject=subject, annotations={"number": str(number)})
            for number, kind in enumerate(kinds)
        ]
        for each in pushed:
            for blob in each.blobs:
                self.client.push_blob(repository, blob.data)
            answer = self.client.request(
                "PUT", f"/v2/{repository}/manifests/{each.digest}", each.data, {"Content-Type": each.media_type}
            )
            check_equal(answer.status, 201, "push of a referrer whose subject is absent")
            check_equal(answer.headers["OCI-Subject"], subject.digest, "header OCI-Subject")
        subject.push(self.client, repository, "1")

        listed = self._referrers(repository, subject.digest)
        expected = {
            each.digest: {
                "mediaType": OCI_MANIFEST, "digest": each.digest, "size": len(each.data),
                "artifactType": kinds[number], "annotations": {"number": str(number)},
            }
            for number, each in enumerate(pushed)
        }  # fmt: skip
        check_equal({each["digest"]: each for each in listed}, expected, "descriptors of the referrers")

        # An image is its config's type of artifact, where it names none.
        plain = image([layer("referring image", 1000)])
        fields = {**json.loads(plain.data), "subject": subject.descriptor()}
        data = json.dumps(fields).encode()
        for blob in plain.blobs:
            self.client.push_blob(repository, blob.data)
        digest = self.client.push_manifest(repository, digest_of(data), data, OCI_MANIFEST)
        found = {each["digest"]: each for each in self._referrers(repository, subject.digest)}
        check_equal(found[digest]["artifactType"], fields["config"]["mediaType"], "type of a referring image")

        answer = self._get_referrers(repository, subject.digest, "?artifactType=application%2Fvnd.example.one")
        check_equal(answer.headers["OCI-Filters-Applied"], "artifactType", "header OCI-Filters-Applied")
        found = {each["digest"] for each in json.loads(answer.body)["manifests"]}
        check_equal(found, {pushed[0].digest, pushed[2].digest}, "referrers after a filter")

        answer = self.client.request("DELETE", f"/v2/{repository}/manifests/{pushed[0].digest}")
        check_equal(answer.status, 202, "delete of a referrer")
        found = {each["digest"] for each in self._referrers(repository, subject.digest)}
        check_equal(found, {pushed[1].digest, pushed[2].digest, digest}, "referrers after a delete")

        answer = self.client.request("GET", f"/v2/{repository}/referrers/sha256:short")
        check_equal(answer.status, 400, "referrers of something that is no digest")

    def _get_referrers(self, repository, digest, query=""):
        answer = self.client.request("GET", f"/v2/{repository}/referrers/{digest}{query}")
        check_equal(answer.status, 200, "status of a referrers request")
        check_equal(answer.headers["Content-Type"].split(";")[0], OCI_INDEX, "media type of the referrers")
        parsed = json.loads(answer.body)
        check_equal(parsed["schemaVersion"], 2, "schemaVersion of the referrers")
        check_equal(parsed["mediaType"], OCI_INDEX, "mediaType of the referrers")
        return answer

    def _referrers(self, repository, digest):
        return json.loads(self._get_referrers(repository, digest).body)["manifests"]

    def pages(self):
        pushed = image([layer("pages", 1000)])
        tags = [f"t{number:02}" for number in range(25)]
        for tag in tags:
            pushed.push(self.client, "pages/app", tag)
        for number in range(3):
            pushed.push(self.client, f"pages/other{number}", "1")
        check_equal(self._page("/v2/pages/app/tags/list", "tags"), (tags, None), "all tags")
        found, path, pages = [], "/v2/pages/app/tags/list?n=7", 0
        while path:
            page, path = self._page(path, "tags")
            check(len(page) <= 7, f"a page of {len(page)} tags, 7 were asked for")
            found += page
            pages += 1
            check(pages < 10, "the pages do not end")
        check_equal(found, tags, "tags in pages")
        check_equal(self._page("/v2/pages/app/tags/list?n=3&last=t20", "tags")[0], tags[21:24], "tags after t20")
        repositories = self.client.catalog()
        wanted = {"pages/app", "pages/other0", "pages/other1", "pages/other2"}
        check(wanted <= set(repositories), f"repositories {wanted - set(repositories)} are not in the catalog")
        check_equal(self.client.request("GET", "/v2/pages/none/tags/list").status, 404, "tags of no repository")

    def _page(self, path, key):
        answer = self.client.request("GET", path)
        check_equal(answer.status, 200, f"GET {path}")
        link = re.match(r'\s*<([^>]+)>\s*;\s*rel="next"', answer.headers.get("Link") or "")
        following = link.group(1) if link else None
        if following and following.startswith("http"):
            following = following.split(self.registry.host, 1)[1]
        return json.loads(answer.body)[key], following

    def refusals(self):
        repository = "refused/app"
        good, bad = b"these bytes", b"other bytes"
        answer = self.client.request("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(good)}", bad, {
            "Content-Type": "application/octet-stream",
        })
        if answer.status == 202:
            # The one-request upload is optional: a registry may begin a session instead.
            location = answer.headers["Location"].split(self.registry.host)[-1]
            joint = "&" if "?" in location else "?"
            answer = self.client.request("PUT", f"{location}{joint}digest={digest_of(good)}", bad)
        check_equal(answer.status, 400, "upload whose bytes have another digest")
        self._error(answer, "DIGEST_INVALID")
        check(not self.client.has_blob(repository, digest_of(good)), "a refused blob is there under its claimed digest")
        answer = self.client.request("POST", f"/v2/{repository}/blobs/uploads/")
        check_equal(answer.status, 202, "begin of an upload")
        location = answer.headers["Location"].split(self.registry.host)[-1]
        answer = self.client.request("PATCH", location, good, {"Content-Type": "application/octet-stream"})
        check_equal(answer.status, 202, "a part of an upload")
        check(not self.client.has_blob(repository, digest_of(good)), "an unfinished upload is a blob")
        location = answer.headers["Location"].split(self.registry.host)[-1]
        check_equal(self.client.request("DELETE", location).status, 204, "cancel of an upload")
        check_equal(self.client.request("GET", location).status, 404, "state of a cancelled upload")
        incomplete = image([layer("incomplete", 1000)])
        answer = self.client.request(
            "PUT", f"/v2/{repository}/manifests/1", incomplete.data, {"Content-Type": incomplete.media_type}
        )
        check(answer.status in (400, 404), f"a manifest without its blobs: status {answer.status}")
        self._error(answer, "MANIFEST_BLOB_UNKNOWN")
        answer = self.client.request(
            "PUT", f"/v2/{repository}/manifests/{digest_of(good)}", b"{}", {"Content-Type": OCI_MANIFEST}
        )
        check_equal(answer.status, 400, "a manifest under another digest")

    def _error(self, answer, code):
        codes = [error["code"] for error in json.loads(answer.body)["errors"]]
        check(code in codes, f"expected the error {code}, found {codes}")

    def pulls(self):
        repository = "pulls/app"
        pushed = image([layer("pulls", 100_000)])
        pushed.push(self.client, repository, "1")
        blob = pushed.blobs[1]
        path = f"/v2/{repository}/blobs/{blob.digest}"
        answer = self.client.request("HEAD", path)
        check_equal(answer.headers["Content-Length"], str(len(blob.data)), "Content-Length of a HEAD")
        answer = self.client.request("GET", path, headers={"Range": "bytes=100-199"})
        check_equal(answer.status, 206, "a range of a blob")
        check_equal(answer.body, blob.data[100:200], "bytes of a range")
        check_equal(answer.headers["Content-Range"], f"bytes 100-199/{len(blob.data)}", "Content-Range")
        answer = self.client.request("GET", path, headers={"Range": f"bytes={len(blob.data)}-"})
        check_equal(answer.status, 416, "a range behind the end")
        for reference in ("1", pushed.digest):
            for method in ("GET", "HEAD"):
                answer = self.client.request(
                    method, f"/v2/{repository}/manifests/{reference}", headers={"Accept": ", ".join(MANIFEST_TYPES)}
                )
                check_equal(answer.status, 200, f"{method} of the manifest {reference}")
                check_equal(answer.headers["Docker-Content-Digest"], pushed.digest, "Docker-Content-Digest")
                check_equal(answer.headers["Content-Type"], pushed.media_type, "Content-Type")
                check_equal(answer.headers["Content-Length"], str(len(pushed.data)), "Content-Length")


def _spec(case):
    return case.get("name").removeprefix("OCI Distribution Conformance Tests").strip()
