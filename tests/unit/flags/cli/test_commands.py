"""What holds for every command of `bentoml migration`: its help, its mistakes, its exit codes."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from comparison.cli.gate import EXIT_CODES
from comparison.cli.refusals import Refusal
from flags.cli import migration
from flags.cli.exit_codes import FAILED, FOLLOWERS_MISSING, REFUSED
from tests.support.markdown import DOCS, code, rows, section

COMMANDS = migration.list_commands(click.Context(migration))
TOKEN = "*:*.a-token-on-the-command-line"  # noqa: S105 - of no server

each_command = pytest.mark.parametrize("name", COMMANDS)


def command(name: str) -> click.Command:
    found = migration.get_command(click.Context(migration), name)
    assert found is not None
    return found


def examples(name: str) -> Iterator[list[str]]:
    """Yield the arguments of each example in the help of a command, as it is printed."""
    shown = CliRunner().invoke(migration, [name, "--help"], terminal_width=200).output
    for line in re.findall(r"^ *Example: bentoml migration (.*)$", shown, re.M):
        yield shlex.split(line)


@each_command
def test_the_help_has_an_example_that_can_be_typed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for exported in ("UNLEASH_URL", "UNLEASH_ADMIN_TOKEN"):
        monkeypatch.setenv(exported, "set")
    found = list(examples(name))
    assert found
    for typed, *arguments in found:
        assert typed == name
        command(name).make_context(name, arguments)


@each_command
def test_each_option_says_what_it_is_for(name: str) -> None:
    for option in command(name).params:
        if isinstance(option, click.Option):
            assert option.help, option.name


@each_command
def test_a_token_comes_from_the_environment_and_is_never_a_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNLEASH_ADMIN_TOKEN", TOKEN)
    shown = CliRunner().invoke(migration, [name, "--help"]).output
    assert TOKEN not in shown
    tokens = [each for each in command(name).params if each.name == "token"]
    assert [each.envvar for each in tokens] == ["UNLEASH_ADMIN_TOKEN"] * len(tokens)


@each_command
@pytest.mark.parametrize("mistake", [["--tokn", TOKEN], ["--token", TOKEN, "--no-such"], []])
def test_what_is_typed_wrong_is_refused_in_words_without_the_token(
    name: str, mistake: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for unset in ("UNLEASH_URL", "UNLEASH_ADMIN_TOKEN"):
        monkeypatch.delenv(unset, raising=False)
    needs_nothing = ("status", "dashboard")
    if not mistake and name in needs_nothing:
        return
    shown = CliRunner().invoke(migration, [name, *mistake])
    assert shown.exit_code == REFUSED
    assert "Error: " in shown.output
    assert "Traceback" not in shown.output
    assert TOKEN not in shown.output


def test_every_exit_code_is_in_the_one_table() -> None:
    table = rows(section(DOCS / "reference" / "cli.md", "Exit codes"))
    told = {int(number): commands for number, _, commands in table}
    assert set(told) == {0, FAILED, REFUSED, FOLLOWERS_MISSING, *EXIT_CODES.values()}
    assert Refusal.exit_code == REFUSED == click.UsageError.exit_code
    for commands in told.values():
        named = {code(each).split()[0] for each in commands.split(", ") if each != "all"}
        assert named <= set(COMMANDS)


@each_command
def test_the_exit_codes_that_a_help_names_are_those_of_the_table(name: str) -> None:
    text = " ".join((command(name).help or "").split())
    table = rows(section(DOCS / "reference" / "cli.md", "Exit codes"))
    told = {number: commands for number, _, commands in table}
    for number, decision in re.findall(r"\b(\d+) (ADVANCE|HOLD|ROLLBACK)\b", text):
        assert int(number) == EXIT_CODES[decision]
        assert number == "0" or f"`{name}" in told[number], number


def test_who_has_a_flags_file_is_told_what_rolls_back_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("UNLEASH_URL", raising=False)
    shown = CliRunner().invoke(migration, ["rollback", "p99 doubled", "--flag", "f"])
    assert shown.exit_code == REFUSED
    assert "Missing option '--url' (env var: 'UNLEASH_URL')" in shown.output
    assert "`bentoml migration file FILE --flag KEY` with --off" in " ".join(shown.output.split())
