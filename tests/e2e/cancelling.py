"""The action is stopped while a layer is on its way."""

import time

from content import image, layer
from github import GitHub
from harness import Failure, check, check_equal
from proxy import counting
from workflow import LIST, TOKEN, Place, expect


class Cancelling(Place):
    """Stopped while a layer is on its way."""

    def kill(self):
        return self.stopped(lambda running: running.kill_process_1())

    def cancel(self):
        return self.stopped(lambda running: running.cancel())

    def stopped(self, stop):
        image([layer("large", 40_000_000)]).push(self.source.client, "team/large", "1")
        before = set(self.target.client.catalog())
        with (
            counting(self.source) as from_, counting(self.target, 2_000_000) as to,
            GitHub(self.webhooks.repository, TOKEN) as github,
        ):  # fmt: skip
            job = self.runner(github)
            job.check_out({LIST: self.entries(from_, "team/large:1")})
            running = job.start("push", self.webhooks.push(), {"target-repo-prefix": f"{to.host}/mirror/"})
            deadline = time.monotonic() + 30
            while not any(upload.seen > 1_000_000 for upload in to.uploads):
                if time.monotonic() > deadline or not running.is_running():
                    raise Failure(f"no layer was on its way:\n{running.wait(5).text()}")
                time.sleep(0.05)
            cancelled = time.monotonic()
            stop(running)
            step = running.wait(20)
            seconds = time.monotonic() - cancelled
            expect(step, 130, "failed", copied="0", failed="1")
            check(seconds < 5, f"it took {seconds:.1f} s")
            check("interrupted" in step.summary, step.summary)
            check("not run" in step.summary or "not-run" in step.summary or "cancel" in step.summary, step.summary)
            repository, _ = self.at_target(from_, "team/large:1")
            check_equal(self.target.client.tags(repository), [], "tags at the target")
        after = set(self.target.client.catalog())
        return f"{seconds:.2f} s after the signal, {len(after - before)} repositories begun"
