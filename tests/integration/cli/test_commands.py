"""Each command where what it needs is missing, and the completion of a shell, for real."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flags.cli import migration
from flags.playbook.template import write_playbook
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import free_port
from tests.support.fraud_store import environment
from tests.support.pair_files import PairFile

pytest_plugins = ("tests.support.unleash.server",)

JUDGED = ("--playbook", "{playbook}")
SERVICE = ("--service", "{nobody}")
COMMANDS = {
    "advance": ("advance", "{pairs}", *JUDGED),
    "autopilot": ("autopilot", "{pairs}", *JUDGED, "--once"),
    "compact": ("compact", "{pairs}", "--into", "{folder}/compacted"),
    "compare": ("compare", "{pairs}"),
    "gate": ("gate", "{pairs}", *JUDGED),
    "init": ("init", "--flag", "{flag}"),
    "playbook": ("playbook", "{playbook}", "--check"),
    "retire": ("retire", "{pairs}", *JUDGED, "--service", "service:Nobody"),
    "rollback": ("rollback", "why", "--flag", "{flag}", "--within", "0", *SERVICE),
    "status": ("status", "--flag", "{flag}", *JUDGED, *SERVICE),
}
"""Arguments that name everything a command can need."""


@dataclass(frozen=True)
class Place:
    """A folder with pairs and a playbook, an Unleash with the flag; any of them can be missing."""

    folder: Path
    unleash: LocalUnleash
    flag: str

    def run(self, name: str, missing: str = "") -> Result:
        """Run a command in this process; an error that it does not expect fails the test."""
        there = {
            "pairs": self.folder / ("nowhere" if missing == "pairs" else "pairs"),
            "playbook": self.folder / f"{'nowhere' if missing == 'playbook' else 'playbook'}.yaml",
            "folder": self.folder,
            "flag": self.flag,
            "nobody": nobody(),
        }
        variables = {
            "UNLEASH_URL": nobody() if missing == "Unleash" else self.unleash.url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": self.unleash.environment,
            "MIGRATION_AUDIT": str(self.folder / "audit.jsonl"),
        }
        arguments = [each.format(**there) for each in COMMANDS[name]]
        shown = CliRunner(env=variables).invoke(migration, arguments)
        unexpected = shown.exception and not isinstance(shown.exception, SystemExit)
        assert not unexpected, f"{shown.output}{shown.exception!r}"
        assert self.unleash.admin_token not in shown.output
        assert "Traceback" not in shown.output
        return shown


def nobody() -> str:
    """Return an address at which nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def place(unleash: LocalUnleash, flag_key: str, tmp_path: Path) -> Place:
    seed(unleash.admin, flag_key)
    write_playbook(tmp_path / "playbook.yaml", flag_key)
    file = PairFile(tmp_path / "pairs", flag=flag_key)
    file.start()
    file.pair()
    return Place(tmp_path, unleash, flag_key)


@pytest.mark.parametrize("name", ["advance", "autopilot", "init", "retire", "rollback", "status"])
def test_without_an_unleash_it_may_work_another_time(place: Place, name: str) -> None:
    shown = place.run(name, missing="Unleash")
    assert shown.exit_code == 1, shown.output
    assert "no Unleash answers at http://127.0.0.1:" in shown.output


@pytest.mark.parametrize("name", ["advance", "autopilot", "compact", "compare", "gate", "retire"])
def test_without_the_folder_of_pairs_it_names_the_folder(place: Place, name: str) -> None:
    shown = place.run(name, missing="pairs")
    assert shown.exit_code == 2, shown.output
    assert f"{place.folder / 'nowhere'}: no such file or folder" in shown.stderr
    assert place.unleash.admin.state(place.flag).rollout == 0


@pytest.mark.parametrize("name", ["advance", "autopilot", "gate", "playbook", "retire", "status"])
def test_without_the_playbook_it_names_the_file(place: Place, name: str) -> None:
    shown = place.run(name, missing="playbook")
    assert shown.exit_code == 2, shown.output
    assert str(place.folder / "nowhere.yaml") in shown.stderr


def test_the_flags_file_and_the_dashboard_say_what_stands_in_their_way(
    tmp_path: Path, unleash: LocalUnleash
) -> None:
    (tmp_path / "file").touch()
    below, astray = (str(tmp_path / name / "flags.json") for name in ("file", "fils"))
    port = unleash.url.rpartition(":")[2]
    for arguments, code, why in (
        (["file", below, "--flag", "a"], 2, "flags.json cannot be"),
        (["file", astray, "--flag", "a"], 2, f"there is no folder {tmp_path / 'fils'}"),
        (["playbook", astray, "--flag", "a"], 2, f"there is no folder {tmp_path / 'fils'}"),
        (["dashboard", "--port", port, "--data", str(tmp_path / "data")], 2, f"port {port} is in"),
        (["dashboard", "--port", "0", "--data", str(tmp_path)], 2, "which no dashboard has"),
    ):
        shown = CliRunner().invoke(migration, arguments)
        assert (shown.exit_code, why in shown.stderr) == (code, True), shown.output
    assert not (tmp_path / "fils").exists()


def test_as_a_process_an_error_is_one_message_on_stderr(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "migration", "init", "--flag", "a", "--url", nobody()],
        env={**environment(tmp_path), "UNLEASH_ADMIN_TOKEN": "*:*.nobodys-token"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: no Unleash answers at http://127.0.0.1:")


COMPLETION = """
eval "$(_BENTOML_COMPLETE=bash_source bentoml)"
tab() {
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _bentoml_completion bentoml
    echo "${COMPREPLY[@]}"
}
complete -p bentoml
tab bentoml migration ""
tab bentoml migration ro
tab bentoml migration autopilot --dr
"""
"""What a shell does on the tab key, for three lines."""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_tab_key_completes_commands_and_options(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETION],
        env={**environment(tmp_path), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    registered, every, one, option = done.stdout.splitlines()
    assert registered.endswith("-F _bentoml_completion bentoml")
    assert every.split() == migration.list_commands(None)  # type: ignore[arg-type]
    assert (one, option) == ("rollback", "--dry-run")
