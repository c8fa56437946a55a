"""A workflow's surroundings for the cases of the action: two registries behind counting proxies, and a runner."""

from harness import check, check_equal
from runner import Runner

IMAGE = "image-syncer:e2e"
LIST = "external-images.yaml"
TOKEN = "ghs_e2e-0123456789abcdefghijklmnop"


class Place:
    """Two registries behind counting proxies, GitHub, and a runner."""

    inputs = {}

    def __init__(self, workplace, engine, webhooks, source, target):
        self.workplace = workplace
        self.engine = engine
        self.webhooks = webhooks
        self.source = source
        self.target = target

    def entries(self, proxy, *names):
        if not names:
            return "images: []\n"
        return "images:\n" + "".join(f"  - source: {proxy.host}/{name}\n" for name in names)

    def runner(self, github, secrets=()):
        return Runner(self.workplace, self.engine, IMAGE, github, secrets)

    def at_target(self, proxy, name):
        """Repository and tag at the target, of a name at the source."""
        repository, tag = name.split(":")
        return f"mirror/{proxy.host.replace(':', '_')}/{repository}", tag

    def everything(self):
        """All repositories of the target with their tags and digests."""
        client = self.target.client
        return {name: {tag: client.digest(name, tag) for tag in client.tags(name)} for name in client.catalog()}


def expect(step, code, result, **outputs):
    """Fails unless the step ended so, with these outputs and all others there."""
    check(step.code == code, f"exit code {step.code}, expected {code}:\n{step.text()[-3000:]}")
    found = {name: step.outputs.get(name) for name in ("result", *outputs)}
    check_equal(found, {"result": result, **outputs}, f"outputs of\n{step.text()[-2000:]}\n")
    return step
