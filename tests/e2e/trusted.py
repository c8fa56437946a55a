"""Whom the action trusts with what: logins of registries, and certificates of a company's own."""

import json
import shutil

from certificates import Authority
from content import image, layer
from events import Events
from github import GitHub
from harness import check, check_equal
from proxy import counting
from registries import DockerRegistry, GuardedDockerRegistry
from workflow import LIST, TOKEN, Place, expect

CASES = 6 + 3


class Guarded(Events):
    """Both registries want a password, which a login action has put into RUNNER_TEMP."""

    def __init__(self, *arguments):
        Place.__init__(self, *arguments)
        self.roots = {"team/app:1": image([layer("guarded", 30_000)])}
        self.roots["team/app:1"].push(self.source.client, "team/app", "1")

    def run(self, book):
        with (
            counting(self.source) as self.from_, counting(self.target) as self.to,
            GitHub(self.webhooks.repository, TOKEN) as self.github,
        ):  # fmt: skip
            self.job = self.runner(self.github, [])
            self.inputs = {"target-repo-prefix": f"{self.to.host}/mirror/"}
            folder = self.job.temp / "docker"
            folder.mkdir()
            (folder / "config.json").write_text(GuardedDockerRegistry.docker_config(self.from_.host, self.to.host))
            self.login = {"DOCKER_CONFIG": str(folder)}
            book.case("a fork under pull_request: that the target is not readable is no failure", self.no_secrets)
            book.case("a fork under pull_request_target: its sources are asked without the password", self.anonymous)
            book.case("an own pull request: its sources are asked with the password", self.own)
            book.case("a configuration of the workspace is not used for a pull request", self.workspace)
            book.case("push: syncs with the logins from RUNNER_TEMP", self.push)
            book.case("push: a wrong password is told, and not shown", self.wrong)

    def step(self, event, payload, variables=None, **inputs):
        self.to.forget()
        self.from_.forget()
        inputs = {name.replace("_", "-"): value for name, value in inputs.items()}
        variables = self.login if variables is None else variables
        step = self.job.run(event, payload, {**self.inputs, **inputs}, variables)
        everything = step.text() + step.summary + json.dumps(step.outputs) + json.dumps(self.github.comments)
        for secret in (GuardedDockerRegistry.password, GuardedDockerRegistry.authorization.removeprefix("Basic ")):
            check(secret not in everything, "the password was told")
        return step

    def everything(self):
        return sorted(self.target.client.catalog())

    def ends(self, **options):
        return self.opened(self.commit(), self.commit("team/app:1"), **options)

    def no_secrets(self):
        with DockerRegistry(self.workplace) as public:
            self.roots["team/app:1"].push(public.client, "team/app", "1")
            with counting(public) as proxy:
                head = self.github.commit({LIST: self.entries(proxy, "team/app:1")})
                payload = self.opened(self.commit(), head, fork=True)
                step = self.review("pull_request", payload, variables={})
        expect(step, 0, "planned")
        check("target not readable" in self.github.comments[0]["body"], self.github.comments[0]["body"])

    def anonymous(self):
        gone = self.ends()
        gone["pull_request"]["head"].update(repo=None, user=None)
        for payload in (self.ends(fork=True), gone):
            self.github.head = payload["pull_request"]["head"]["sha"]
            step = expect(self.review("pull_request_target", payload), 1, "failed", failed="1")
            check(self.from_.counted(), "the source was not asked")
            check(not any(request.authorized for request in self.from_.counted()), "a fork's source got the password")
            check(any(request.authorized for request in self.to.counted()), "the target did not get the password")
            check("answered 401" in step.text(), step.text())

    def own(self):
        expect(self.review("pull_request", self.ends()), 0, "planned", copied="1")
        check(any(request.authorized for request in self.from_.counted()), "the source did not get the password")

    def workspace(self):
        self.job.check_out({"docker/config.json": "{}"})
        variables = {"DOCKER_CONFIG": str(self.job.workspace / "docker")}
        step = expect(self.review("pull_request", self.ends(), variables=variables), 2, "failed")
        check("leads into the workspace" in step.text(), step.text())

    def push(self):
        self.job.check_out({LIST: self.lists("team/app:1")})
        expect(self.step("push", self.webhooks.push()), 0, "synced", copied="1")
        repository, tag = self.at_target(self.from_, "team/app:1")
        check_equal(self.target.client.digest(repository, tag), self.roots["team/app:1"].digest, "the digest")

    def wrong(self):
        self.job.check_out({LIST: self.lists("team/app:2")})
        folder = self.job.temp / "wrong"
        folder.mkdir()
        login = GuardedDockerRegistry.docker_config(self.from_.host)
        wrong = login.replace(json.loads(login)["auths"][self.from_.host]["auth"], "cm9ib3Q6d3Jvbmc=")
        (folder / "config.json").write_text(wrong)
        step = self.step("push", self.webhooks.push(), variables={"DOCKER_CONFIG": str(folder)})
        expect(step, 1, "failed", failed="1")
        check("cm9ib3Q6d3Jvbmc=" not in step.text(), "the login was told")


class Enterprise(Events):
    """A server of one's own, with a certificate of a company's own."""

    def __init__(self, *arguments):
        Place.__init__(self, *arguments)
        self.roots = {"team/app:1": image([layer("enterprise", 30_000)])}
        self.roots["team/app:1"].push(self.source.client, "team/app", "1")

    def run(self, book):
        self.authority = Authority(self.workplace)
        server = self.authority.issue("server", "IP:127.0.0.1")
        tls = (server.certificate, server.key)
        with (
            counting(self.source) as self.from_, counting(self.target) as self.to,
            GitHub(self.webhooks.repository, TOKEN, "/api/v3", tls) as self.github,
        ):  # fmt: skip
            self.job = self.runner(self.github)
            self.inputs = {"target-repo-prefix": f"{self.to.host}/mirror/", "allow-private-networks": "true"}
            book.case("without it the server is not trusted", self.unknown)
            book.case("with it in RUNNER_TEMP a pull request is planned and commented on", self.known)
            book.case("with it in the workspace it is not trusted for a pull request", self.workspace)

    def planned(self, place):
        """A pull request's step, with the authority's certificate in a file there, if anywhere."""
        payload = self.opened(self.commit(), self.commit("team/app:1"))
        variables = {}
        if place:
            shutil.copy(self.authority.certificate, place)
            variables["SYNCER_CA_FILE"] = str(place / "authority.pem")
        return self.job.run("pull_request", payload, self.inputs, variables)

    def unknown(self):
        step = expect(self.planned(None), 1, "failed")
        check("certificate" in step.text(), step.text())
        check_equal(self.github.requests, [], "requests that an unknown server got")

    def known(self):
        expect(self.planned(self.job.temp), 0, "planned", copied="1")
        [comment] = self.github.comments
        check("## 📋 Plan: 1 to copy" in comment["body"], comment["body"])
        check_equal(self.to.writes(), [], "write requests")

    def workspace(self):
        self.github.forget()
        expect(self.planned(self.job.workspace), 1, "failed")
        check_equal(self.github.requests, [], "requests that an unknown server got")
