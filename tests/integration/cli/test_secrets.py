"""No secret is where somebody may read it: everything that real runs leave behind is searched.

A service with its libraries' debug log, a receiver that refuses it and quotes its token, a service
whose own secrets are wrong, and the operator's commands with the right token, a wrong one, and none
that answers: their logs, output, pages, pairs and files, and the arguments of every process.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import httpx
import psutil
import pytest

from flags.monitoring.worker_state import WORKERS_PATH
from flags.operate.watch import running_workers
from flags.playbook.template import write_playbook
from flags.serving.http.endpoints import LIVE_PATH, PAGE_PATH
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import Serving, free_port
from tests.support.fakes import eventually
from tests.support.faulty_proxy import FaultyProxy
from tests.support.fraud_store import environment
from tests.support.otlp_proxy import Fault, OtlpProxy
from tests.support.paths import ROOT

pytest_plugins = ("tests.support.unleash.server",)

FLAG: Final = "secrets-v2"
TARGET: Final = "tests.support.services.scaled:Things"
OTLP_KEY: Final = "otlp-key-8c1f5d20"
OTLP_PASSWORD: Final = "otlp-password-51c09e77"  # noqa: S105 - of no server
UNSENDABLE: Final = "unsendable-key-77d3a9f1"
WRONG_BACKEND: Final = "*:development.wrong-backend-29af60c4"
WRONG_ADMIN: Final = "*:*.wrong-admin-04b7e91d"
PAGES: Final = (PAGE_PATH, LIVE_PATH, WORKERS_PATH, "/metrics", "/docs.json", "/schema.json", "/")
TALKATIVE: Final = """
import logging
import threading
import time

shown = logging.StreamHandler()
shown.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))


def talk():
    root = logging.getLogger()
    while True:  # BentoML sets the log up anew when a worker starts
        root.setLevel(logging.DEBUG)
        if shown not in root.handlers:
            root.addHandler(shown)
        time.sleep(0.05)


threading.Thread(target=talk, daemon=True).start()
"""
"""A module that Python imports at the start of each process: every library's debug log."""
COMMANDS: Final = """
import json
import sys

from click.testing import CliRunner
from flags.cli import migration

codes = []
for command in json.loads(sys.argv[1]):
    shown = CliRunner().invoke(migration, command)
    print(command, shown.output, repr(shown.exception), file=sys.stderr)
    codes.append(shown.exit_code)
print(json.dumps(codes))
"""
"""Runs commands one after the other, as a process of its own for each would take minutes."""


class ProcessList:
    """The arguments of every process that ran during the block, as any user may list them."""

    def __init__(self) -> None:
        self.commands: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            for process in psutil.process_iter():
                try:
                    self.commands.add(" ".join(process.cmdline()))
                except psutil.Error:  # it has just ended
                    continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@dataclass
class Operator:
    """Somebody who runs commands in a folder, and keeps all that they print."""

    folder: Path
    variables: Mapping[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **variables: str) -> int:
        """Run a command by BentoML's own command line; return its exit code."""
        command, *rest = arguments
        bentoml = ["-m", "bentoml", "migration", "--debug", command, *rest]
        return self._python(bentoml, variables).returncode

    def run_all(self, commands: Sequence[Sequence[str]], **variables: str) -> list[int]:
        """Run several commands in one process; return their exit codes."""
        script = ["-c", COMMANDS, json.dumps(commands)]
        return list(json.loads(self._python(script, variables).stdout))

    def _python(
        self, arguments: list[str], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**environment(self.folder / "bentoml"), **self.variables, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.said[f"command {len(self.said)}"] = done.stdout + done.stderr
        return done


@dataclass(frozen=True)
class Remains:
    """What the runs left behind, by place, and the secrets that took part."""

    places: Mapping[str, str]
    secrets: Mapping[str, str]
    exit_codes: tuple[int, ...]
    tokens_sent: set[str | None]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def remains(unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory) -> Remains:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "talkative").mkdir()
    (folder / "talkative" / "sitecustomize.py").write_text(TALKATIVE)
    credentials = unleash.data.credentials()
    secrets = {
        "the backend token": unleash.client_token,
        "the admin token": unleash.admin_token,
        "the dashboard's password": credentials.admin_password,
        "the dashboard's session secret": credentials.session_secret,
        "a wrong backend token": WRONG_BACKEND,
        "a wrong admin token": WRONG_ADMIN,
        "the key in the OTLP headers": OTLP_KEY,
        "the password in the OTLP endpoint": OTLP_PASSWORD,
        "a key that no header can hold": UNSENDABLE,
    }
    seed(unleash.admin, FLAG)
    with (
        ProcessList() as processes,
        FaultyProxy(unleash.url) as proxy,
        OtlpProxy("http://127.0.0.1:9") as receiver,
    ):
        receiver.fault = Fault.QUOTES
        pages = serve(folder, unleash, proxy, receiver)
        pages |= serve_with_wrong_secrets(folder, unleash, receiver)
        operator, exit_codes = operate(folder, unleash)
        assert receiver.asked[Fault.QUOTES], "the receiver was asked"
    written = {
        str(path.relative_to(folder)): path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    logs = {path.name: path.read_text() for path in (unleash.data.server_log,)}
    places = {**pages, **written, **logs, **operator.said}
    return Remains(
        {**places, "the process list": "\n".join(processes.commands)},
        secrets,
        exit_codes,
        proxy.tokens,
    )


def serve(
    folder: Path, unleash: LocalUnleash, proxy: FaultyProxy, receiver: OtlpProxy
) -> dict[str, str]:
    """Serve with processes of their own for both sides, while the flag moves; return the pages."""
    endpoint = receiver.url.replace("//", f"//pairs:{OTLP_PASSWORD}@")
    variables = {
        **talkative(folder),
        "UNLEASH_URL": proxy.sdk_url,
        "UNLEASH_API_TOKEN": unleash.client_token,
        "UNLEASH_ADMIN_TOKEN": unleash.admin_token,  # by mistake: it is the operator's
        "FLAGS_CACHE_DIR": str(folder / "cache"),
        "PLACEMENT": "isolated",
        "API_WORKERS": "2",
        "PAIRS_DIR": str(folder / "pairs"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{OTLP_KEY}",
    }
    with serving(folder, "service", variables) as service:
        assert eventually(lambda: len(running_workers(service.url).workers) == 2, 60)
        ask(service, 5_000, 20, 60)
        unleash.admin.set_rollout(FLAG, 100)
        assert eventually(lambda: answered_by(service) == "candidate", 30)
        ask(service, 5_000, 20, 60)
        proxy.fault = type(proxy.fault).UNAUTHORISED
        assert eventually(lambda: "answers with status 401" in service.log.read_text(), 30)
        proxy.fault = type(proxy.fault).NONE
        time.sleep(2)  # until the pages have all that there is
        return read_pages(service)


def serve_with_wrong_secrets(
    folder: Path, unleash: LocalUnleash, receiver: OtlpProxy
) -> dict[str, str]:
    """Serve with a token that Unleash does not know, and OTLP headers that cannot be sent."""
    variables = {
        **talkative(folder),
        "UNLEASH_URL": unleash.sdk_url,
        "UNLEASH_API_TOKEN": WRONG_BACKEND,
        "PAIRS_DIR": str(folder / "other-pairs"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization Bearer {UNSENDABLE}",
    }
    with serving(folder, "wrong", variables) as service:
        ask(service, 5_000, 20)
        assert eventually(lambda: "answers with status 401" in service.log.read_text(), 30)
        assert eventually(lambda: "HEADERS: entry 1" in service.log.read_text(), 30)
        return read_pages(service)


def operate(folder: Path, unleash: LocalUnleash) -> tuple[Operator, tuple[int, ...]]:
    """Run the operator's commands: they work, are refused, and find no Unleash."""
    write_playbook(folder / "playbook.yaml", FLAG, force=False)
    service = ("--service", f"http://127.0.0.1:{free_port()}")
    judged = ("pairs", "--playbook", "playbook.yaml")
    commands = [
        ("status", "--flag", FLAG, *service),
        ("init", "--flag", FLAG),
        ("advance", *judged, "--override", "labels are late"),
        ("autopilot", *judged, "--once"),
        ("retire", *judged, "--service", TARGET),
        ("rollback", "p99 doubled", "--flag", FLAG, "--within", "0", *service),
    ]
    unleash.admin.set_rollout(FLAG, 0)
    given = {"UNLEASH_URL": unleash.url, "UNLEASH_ENVIRONMENT": unleash.environment}
    operator = Operator(folder, {**given, **talkative(folder)})
    nobody = f"http://127.0.0.1:{free_port()}"
    known = {"UNLEASH_ADMIN_TOKEN": unleash.admin_token}
    first, *between, last = commands  # by BentoML's own command line, which takes seconds
    codes = [operator.run(*first, **known)]
    codes += operator.run_all(between, **known)
    codes += [operator.run(*last, **known)]
    for tried in (
        {"UNLEASH_ADMIN_TOKEN": WRONG_ADMIN},
        {"UNLEASH_ADMIN_TOKEN": unleash.client_token},
        {"UNLEASH_ADMIN_TOKEN": unleash.admin_token, "UNLEASH_URL": nobody},
    ):
        codes += operator.run_all(commands, **tried)
    operator.run("gate", *judged, "--html", "verdict.html", "--json", "verdict.json")
    operator.run("compare", "pairs", "--html", "comparison.html", "--json", "comparison.json")
    return operator, tuple(codes)


def talkative(folder: Path) -> dict[str, str]:
    """Return what makes every library of a process log all that it has to say."""
    search = os.pathsep.join([str(folder / "talkative"), str(ROOT)])
    return {"BENTOML_DEBUG": "True", "PYTHONPATH": search}


def serving(folder: Path, name: str, variables: Mapping[str, str]) -> Serving:
    named = {"FLAG": FLAG, "FLAGS_REFRESH_INTERVAL": "1", "CANDIDATE_TIMEOUT": "20", **variables}
    return Serving(
        TARGET,
        environment=environment(folder / "bentoml", **named),
        log=folder / f"{name}.log",
        folder=ROOT,
    )


def ask(service: Serving, *amounts: float) -> None:
    for amount in amounts:
        reply = httpx.post(f"{service.url}/judge", json={"amount": amount}, timeout=60)
        assert reply.status_code == 200


def answered_by(service: Serving) -> str:
    reply = httpx.post(f"{service.url}/judge", json={"amount": 1}, timeout=60)
    return str(reply.headers["X-Model-Side"])


def read_pages(service: Serving) -> dict[str, str]:
    replies = {path: httpx.get(service.url + path) for path in PAGES}
    return {
        f"{service.log.stem} {path}": f"{reply.text}\n{reply.headers}"
        for path, reply in replies.items()
    }


def leaks(remains: Remains) -> Iterator[str]:
    for place, text in remains.places.items():
        for name, secret in remains.secrets.items():
            if secret in text or secret.rpartition(".")[2] in text:
                yield f"{name} is in {place}"


def test_no_secret_is_in_anything_that_is_left_behind(remains: Remains) -> None:
    assert list(leaks(remains)) == []


def test_the_search_looks_where_secrets_would_be(remains: Remains) -> None:
    """Each place holds what belongs there, and the log is the libraries' debug log."""
    places = remains.places
    for talkative_run in ("service.log", "command 0", "command 1", "command 3"):
        assert "DEBUG:urllib3.connectionpool" in places[talkative_run]
    assert "nobody is known by ***" in places["service.log"]
    for page in PAGES:
        assert len(places[f"service {page}"]) > 200, page
    for held in ("pairs/pairs-", "other-pairs/pairs-", "cache/flags-", "bentoml/"):
        assert any(place.startswith(held) and text for place, text in places.items()), held
    assert FLAG in places["verdict.html"]
    assert FLAG in places["comparison.html"]
    assert "labels are late" in places["migration-audit.jsonl"]
    listed = places["the process list"]
    for started in (
        "bentoml serve",
        "flags.serving.isolated",
        "migration --debug rollback",
        "node",
        "postgres -D",
    ):
        assert started in listed, started


def test_each_command_says_what_it_was_refused(remains: Remains) -> None:
    right, wrong, backend, nobody = (remains.exit_codes[at : at + 6] for at in (0, 6, 12, 18))
    assert right == (1, 0, 0, 10, 10, 0)  # no service; nothing new; forced; no evidence, twice; off
    assert set(wrong) == set(backend) == {2}
    assert set(nobody) == {1}


def test_the_service_never_uses_the_admin_token_that_it_is_given(
    remains: Remains, unleash: LocalUnleash
) -> None:
    assert remains.tokens_sent == {unleash.client_token}
