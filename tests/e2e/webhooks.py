"""Real webhook payloads, from GitHub's own collection, with the commits and repositories that a case is about."""

import copy
import json

from harness import check

FORK = {"id": 186853999, "full_name": "mallory/Hello-World", "fork": True}


class Webhooks:
    """The payloads of the events that the action knows."""

    def __init__(self, workplace):
        file = workplace.tools / "node_modules/@octokit/webhooks-examples/api.github.com/index.json"
        check(file.is_file(), f"{file} is missing")
        self._examples = {entry["name"]: entry["examples"] for entry in json.loads(file.read_text())}
        self.repository = self._example("pull_request", action="synchronize")["repository"]["full_name"]

    def _example(self, event, **fields):
        """A copy of the first example that has these fields."""
        for example in self._examples[event]:
            if all(example.get(name) == value for name, value in fields.items()):
                return copy.deepcopy(example)
        raise AssertionError(f"there is no example of {event} with {fields}")

    def actions(self, event):
        """What can have happened, in the examples of an event."""
        return sorted({example["action"] for example in self._examples[event]})

    def _at_home(self, payload):
        """The payload with the one repository that this run has."""
        payload["repository"] = self._example("pull_request", action="synchronize")["repository"]
        return payload

    def push(self):
        payload = self._example("push", ref="refs/heads/master")
        check(payload["commits"], "the example of a push has no commits")
        return payload

    def workflow_dispatch(self):
        return self._at_home(self._example("workflow_dispatch"))

    def schedule(self):
        """No webhook: the runner gets the repository of a push, and the entry of the workflow."""
        push = self.push()
        kept = {name: push[name] for name in ("repository", "sender")}
        return {**kept, "schedule": "23 3 * * *", "workflow": ".github/workflows/images.yml"}

    def pull_request(self, base, head, action="synchronize", fork=False):
        payload = self._example("pull_request", action=action)
        ends = payload["pull_request"]
        ends["base"]["sha"], ends["head"]["sha"] = base, head
        if "after" in payload:
            payload["after"] = head
        if fork:
            name = FORK["full_name"].split("/")[0]
            ends["head"]["repo"].update(FORK, owner={**ends["head"]["repo"]["owner"], "login": name})
            ends["head"]["label"] = f"{name}:{ends['head']['ref']}"
            ends["head"]["user"]["login"] = ends["user"]["login"] = payload["sender"]["login"] = name
            # What a stranger writes, for the runner and for Markdown.
            ends["title"] = "::error::title ##[set-output name=result]synced"
            ends["body"] = "@Codertocat <!-- image-syncer:image-syncer -->\r\n::stop-commands::x"
        return payload

    def merge_group(self, base, head):
        payload = self._at_home(self._example("merge_group"))
        payload["merge_group"].update(base_sha=base, head_sha=head)
        return payload
