"""GitHub's runner as far as a container action sees it: variables, mounts, file commands and the command parser.

Written from what the runner does (its ContainerActionHandler, DockerCommandManager, ActionCommand and
FileCommandManager). Two things differ: containers share the machine's network, on which registries and API are,
and the engine has a socket of its own, which the client is told by an option and not by a variable.
"""

import json
import re
import signal
import subprocess
import threading
import time
import unicodedata
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from engine import CLIENT
from harness import Failure, check, check_equal

# The commit that the workflow runs at.
SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
MANIFEST = Path(__file__).resolve().parents[2] / "action.yml"
LARGEST_SUMMARY = 1024 * 1024
ISSUES_OF_A_KIND = 10
LONGEST_MESSAGE = 4096
REGISTERED = {
    "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher",
    "save-state", "set-env", "set-output", "stop-commands", "warning",
}  # fmt: skip
# What makes a command of a line, in the order in which it is undone.
DATA = ("\r%0D", "\n%0A", "%%25")
PROPERTY = ("\r%0D", "\n%0A", ":%3A", ",%2C", "%%25")
OLD = (";%3B", "\r%0D", "\n%0A", "]%5D", "%%25")
# What Unicode calls "default ignorable".
IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip


class Manifest:
    """What action.yml says: inputs with their defaults, outputs, arguments."""

    def __init__(self, text):
        self.inputs, self.outputs, self.arguments = {}, [], []
        part = name = None
        for line in text.splitlines():
            if match := re.match(r"^([a-z]+):", line):
                part = match[1]
            elif match := re.match(r"^  ([a-z-]+):$", line):
                name = match[1]
                if part == "inputs":
                    # An input that has no default is an empty one.
                    self.inputs[name] = ""
                elif part == "outputs":
                    self.outputs.append(name)
            elif part == "inputs" and (match := re.match(r"^    default: (.+)$", line)):
                self.inputs[name] = match[1].strip('"')
            elif part == "runs" and name == "args" and (match := re.match(r"^    - (.+)$", line)):
                self.arguments.append(match[1])
        check(len(self.inputs) > 15 and len(self.outputs) > 5, "action.yml was not understood")
        check_equal(self.inputs["github-token"], "${{ github.token }}", "the token's default")
        check_equal(self.arguments, ["action"], "the arguments of action.yml")


@dataclass
class Command:
    """A command that the runner obeys."""

    name: str
    properties: dict
    data: str


def command(line, find=str.find):
    """The command that a line is, or None."""
    return _new_form(line, find) or _old_form(line, find)


def _new_form(line, find):
    line = line.lstrip()
    if find(line, "::") != 0:
        return None
    end = find(line, "::", 2)
    if end < 0:
        return None
    name, _, rest = line[2:end].partition(" ")
    if name.lower() not in REGISTERED:
        return None
    return Command(name.lower(), _properties(rest.strip(), ",", PROPERTY), _unescaped(line[end + 2 :], DATA))


def _old_form(line, find):
    start = find(line, "##[")
    end = line.find("]", start) if start >= 0 else -1
    if end < 0:
        return None
    name, _, rest = line[start + 3 : end].partition(" ")
    if name.lower() not in REGISTERED:
        return None
    return Command(name.lower(), _properties(rest, ";", OLD), _unescaped(line[end + 1 :], OLD))


def _properties(text, separator, escapes):
    found = {}
    for part in text.split(separator):
        # Empty parts are dropped on both levels: `a==b` is `a` and `b`.
        key, equals, value = part.lstrip("=").partition("=")
        value = value.lstrip("=")
        if equals and value:
            found[key.lower()] = _unescaped(value, escapes)
    return found


def _unescaped(text, escapes):
    for escape in escapes:
        text = text.replace(escape[1:], escape[0])
    return text


def find_as_collation(text, needle, start=0):
    """As `str.find`, but blind to characters that a language's collation does not see."""
    for place in range(start, len(text)):
        seen = (c for c in text[place:] if not _is_ignorable(c))
        if all(next(seen, None) == wanted for wanted in needle):
            return place
    return -1


def _is_ignorable(c):
    if unicodedata.category(c) == "Cc":
        return not c.isspace()
    return any(first <= ord(c) <= last for first, last in IGNORABLE)


def lines(data):
    """The lines that the runner reads of a stream: they end in CR, LF or both."""
    return re.split("\r\n|\r|\n", data.decode("utf-8", "replace"))


def key_values(text):
    """A file command's entries: `name=value`, or `name<<delimiter`, lines, and the delimiter."""
    found, rest = {}, text.removeprefix("\ufeff")
    while rest:
        line, _, rest = rest.partition("\n")
        if not line:
            continue
        equals, fence = line.find("="), line.find("<<")
        if equals >= 0 and (fence < 0 or equals < fence):
            name, value = line[:equals], line[equals + 1 :]
        elif fence >= 0:
            name, delimiter = line[:fence], line[fence + 2 :]
            check(delimiter, f"`{line}` has no delimiter")
            value = []
            while True:
                check(rest, f"the delimiter `{delimiter}` does not come")
                line, _, rest = rest.partition("\n")
                if line == delimiter:
                    break
                value.append(line)
            value = "\n".join(value)
        else:
            raise Failure(f"`{line}` is no entry of a file command")
        check(name, f"`{line}` has no name")
        found[name] = value
    return found


@dataclass
class Step:
    """What became of a step, as GitHub would have it."""

    code: int
    printed: list
    commands: list
    outputs: dict
    summary: str
    seconds: float
    secrets: list = field(default_factory=list)

    def issues(self):
        """The annotations that GitHub shows: `error FILE:LINE: MESSAGE`, ten of each kind."""
        counts, found = {}, []
        for each in self.commands:
            if each.name in ("error", "warning", "notice"):
                counts[each.name] = counts.get(each.name, 0) + 1
                if counts[each.name] <= ISSUES_OF_A_KIND:
                    place = f"{each.properties.get('file', '')}:{each.properties.get('line', '')}"
                    found.append(f"{each.name} {place}: {each.data[:LONGEST_MESSAGE]}")
        return found

    def names(self):
        return {each.name for each in self.commands}

    def text(self):
        """All that was printed, with what the runner would hide."""
        return "\n".join(self.printed)

    def log(self):
        """What people see: no masks, and `***` for what they mask."""
        shown = [line for line in self.printed if (found := command(line)) is None or found.name != "add-mask"]
        text = "\n".join(shown)
        for mask in sorted((each.data for each in self.commands if each.name == "add-mask"), key=len, reverse=True):
            text = text.replace(mask, "***")
        return text


class Runner:
    """A runner with one job. Each step gets new files; workspace and temporary folder stay."""

    def __init__(self, workplace, engine, image, github, secrets=()):
        self._workplace = workplace
        self._engine = engine
        self._image = image
        self._github = github
        self._secrets = [github.token, *secrets]
        self.manifest = Manifest(MANIFEST.read_text())
        root = workplace.fresh_folder("runner")
        repository = github.repository.split("/")[1]
        self.temp = root / "_temp"
        self.workspace = root / repository / repository
        self._home = self.temp / "_github_home"
        self._workflow = self.temp / "_github_workflow"
        self._files = self.temp / "_runner_file_commands"
        for folder in (self.workspace, self._home, self._workflow, self._files):
            folder.mkdir(parents=True)
        self._mounts = {
            self._home: "/github/home",
            self._workflow: "/github/workflow",
            self._files: "/github/file_commands",
            self.temp: "/github/runner_temp",
            self.workspace: "/github/workspace",
        }

    def check_out(self, files):
        """Puts files (path → text) into the workspace, as actions/checkout would."""
        for path, text in files.items():
            (self.workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (self.workspace / path).write_text(text)

    def run(self, event, payload, inputs=None, variables=None, context=None, timeout=120):
        """Runs the action to its end."""
        return self.start(event, payload, inputs, variables, context).wait(timeout)

    def start(self, event, payload, inputs=None, variables=None, context=None):
        """Starts the action as the runner does, for an event with a webhook's payload."""
        # Entries of `with` that the action does not know are passed on, too; the runner only warns of them.
        given = {**self.manifest.inputs, **(inputs or {})}
        for name, value in given.items():
            given[name] = self._github.token if value == "${{ github.token }}" else value
        return self._start(event, payload, given, self.manifest.arguments, variables, context)

    def call(self, event, payload, given, variables=None, timeout=120):
        """Runs the image itself, as a step with `uses: docker://IMAGE`: there is no manifest, and no default."""
        return self._start(event, payload, given, given["args"].split(), variables, None).wait(timeout)

    def _start(self, event, payload, given, arguments, variables, context):
        (self._workflow / "event.json").write_text(json.dumps(payload))
        environment = {f"INPUT_{name.replace(' ', '_').upper()}": value for name, value in given.items()}
        environment.update(variables or {})
        environment["HOME"] = str(self._home)
        environment.update(self._contexts(event, payload, context or {}))
        files = self._new_files()
        environment.update({name: str(path) for name, path in files.items()})
        environment = {name: self._translated(value) for name, value in environment.items()}
        name = re.sub("[^A-Za-z0-9]", "", self._image) + f"_{uuid.uuid4().hex[:6]}"
        options = [
            "--name", name, "--label", "e2e123", "--workdir", "/github/workspace", "--rm",
            *(part for key in environment for part in ("-e", key)),
            "-e", "GITHUB_ACTIONS=true", *([] if "CI" in environment else ["-e", "CI=true"]),
            "--network", "host", "-v", f"{self._engine.socket}:/var/run/docker.sock",
            *(part for source, place in self._mounts.items() for part in ("-v", f"{source}:{place}")),
        ]  # fmt: skip
        arguments = [CLIENT, "--host", self._engine.host, "run", *options, self._image, *arguments]
        return Running(self._workplace, self._engine, name, arguments, environment, files, self._secrets)

    def _contexts(self, event, payload, context):
        """The variables of the contexts `github` and `runner`, and of the services for actions."""
        repository = self._github.repository
        fields = {
            "action": "__self", "actor": "Codertocat", "actor_id": "21031067", "api_url": self._github.api_url,
            "base_ref": "", "event_name": event, "event_path": str(self._workflow / "event.json"),
            "graphql_url": self._github.graphql_url, "head_ref": "", "job": "images", "ref": "refs/heads/main",
            "ref_name": "main", "ref_protected": "true", "ref_type": "branch", "repository": repository,
            "repository_id": "186853002", "repository_owner": repository.split("/")[0],
            "repository_owner_id": "21031067", "retention_days": "90", "run_attempt": "1", "run_id": "9876543210",
            "run_number": "12", "server_url": "https://github.com", "sha": SHA,
            "triggering_actor": "Codertocat", "workflow": "images",
            "workflow_ref": f"{repository}/.github/workflows/images.yml@refs/heads/main",
            "workflow_sha": SHA, "workspace": str(self.workspace), **context,
        }  # fmt: skip
        variables = {f"GITHUB_{name.upper()}": value for name, value in fields.items()}
        return variables | {
            "RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", "RUNNER_NAME": "e2e", "RUNNER_ENVIRONMENT": "github-hosted",
            "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache", "RUNNER_TEMP": str(self.temp),
            "RUNNER_WORKSPACE": str(self.workspace.parent), "ACTIONS_RUNTIME_URL": "http://127.0.0.1:9/",
            "ACTIONS_RUNTIME_TOKEN": "no-runtime-token-0123456789", "ACTIONS_CACHE_URL": "http://127.0.0.1:9/",
            "ACTIONS_RESULTS_URL": "http://127.0.0.1:9/",
        }  # fmt: skip

    def _new_files(self):
        files, suffix = {}, uuid.uuid4()
        for name, prefix in (
            ("PATH", "add_path"), ("ENV", "set_env"), ("STEP_SUMMARY", "step_summary"), ("STATE", "save_state"),
            ("OUTPUT", "set_output"),
        ):  # fmt: skip
            files[f"GITHUB_{name}"] = self._files / f"{prefix}_{suffix}"
            files[f"GITHUB_{name}"].touch()
        return files

    def _translated(self, value):
        """A path of this machine as the container sees it."""
        for source, place in self._mounts.items():
            if value == str(source) or value.startswith(f"{source}/"):
                return place + value.removeprefix(str(source))
        return value


class Running:
    """A step that runs."""

    def __init__(self, workplace, engine, name, arguments, environment, files, secrets):
        self._workplace = workplace
        self._engine = engine
        self.name = name
        self._files = files
        self._secrets = secrets
        # What the client itself needs is the path only; the rest is the container's.
        environment = {"PATH": workplace.environment["PATH"], **environment}
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        self._streams = {}
        self._readers = []
        for stream in ("stdout", "stderr"):
            reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _read(self, stream):
        self._streams[stream] = getattr(self._process, stream).read()

    def is_running(self):
        return self._process.poll() is None

    def kill_process_1(self, number="INT"):
        """Sends a signal to the container's first process."""
        self._engine.docker("kill", f"--signal={number}", self.name)

    def cancel(self):
        """Does what the runner does first when somebody cancels: the client gets SIGINT."""
        self._process.send_signal(signal.SIGINT)

    def wait(self, timeout=120):
        """Waits for the end, and reads what the runner reads then."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._engine.docker("kill", self.name, expect=None)
            self._process.kill()
            raise Failure(f"{self.name}: not done after {timeout} s") from None
        seconds = time.monotonic() - self._started
        for reader in self._readers:
            reader.join(10)
        printed = [*lines(self._streams["stdout"]), *lines(self._streams["stderr"])]
        commands = [found for found in map(command, printed) if found]
        seen = [found for line in printed if (found := command(line, find_as_collation))]
        check_equal(seen, commands, "the commands that are found by a collation")
        for name in ("GITHUB_PATH", "GITHUB_ENV", "GITHUB_STATE"):
            check_equal(self._files[name].read_text(), "", name)
        summary = self._files["GITHUB_STEP_SUMMARY"].read_bytes()
        check(len(summary) <= LARGEST_SUMMARY, f"a summary of {len(summary)} bytes would be dropped")
        outputs = key_values(self._files["GITHUB_OUTPUT"].read_bytes().decode())
        step = Step(
            self._process.returncode, printed, commands, outputs, summary.decode(), seconds, self._secrets
        )  # fmt: skip
        self._check_always(step)
        return step

    def _check_always(self, step):
        """What holds for every step: no command but ours, groups that end, and no secret that is seen."""
        ours = {"add-mask", "error", "warning", "notice", "group", "endgroup"}
        check_equal(step.names() - ours, set(), "commands that are not ours")
        check_equal(
            sum(each.name == "group" for each in step.commands),
            sum(each.name == "endgroup" for each in step.commands), "groups that begin and end",
        )  # fmt: skip
        shown = {"log": step.log(), "summary": step.summary, "outputs": json.dumps(step.outputs)}
        for secret in step.secrets:
            for what, text in shown.items():
                check(secret not in text, f"a secret is in the {what}")
            masked = [each.data for each in step.commands if each.name == "add-mask"]
            check(secret in masked, "a secret is not masked")
