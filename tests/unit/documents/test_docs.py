"""The documents name what is there: commands, settings, arguments, metrics, links."""

import inspect
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from openfeature.event import ProviderEvent

import flags
from flags import migrate
from flags.cli import migration
from flags.serving.settings import Settings
from tests.support.markdown import DOCS, PAGES, code, name_of, prose, rows, section
from tests.support.paths import ROOT

CLI, ATTRIBUTES = DOCS / "reference" / "cli.md", DOCS / "reference" / "attributes.md"

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# --- commands -------------------------------------------------------------------------------------


def commands() -> list[str]:
    return migration.list_commands(click.Context(migration))


def command(name: str) -> click.Command:
    found = migration.get_command(click.Context(migration), name)
    assert found is not None, f"there is no command {name}"
    return found


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield each `bentoml migration` line of a console block, with the page that has it."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```(?:console|sh)\n(.*?)```", text, re.S):
            for line in block.replace("\\\n", " ").splitlines():
                _, found, rest = line.partition("bentoml migration ")
                if found:
                    yield name_of(page), shlex.split(rest, comments=True)


@pytest.mark.parametrize("name", commands())
def test_each_option_of_a_command_is_documented_and_none_that_is_not_there(name: str) -> None:
    described = {
        code(first).split()[0]: default
        for first, default, _ in rows(section(CLI, f"`bentoml migration {name}`"))
    }
    parameters = {
        each.make_metavar(click.Context(command(name)))
        if isinstance(each, click.Argument)
        else each.opts[0]: each
        for each in command(name).params
    }
    assert set(described) == set(parameters)
    for shown, parameter in parameters.items():
        assert described[shown].startswith(documented_default(name, parameter)), shown


def documented_default(name: str, parameter: click.Parameter) -> str:
    """Return what the page must say of a default; nothing where it can say it in words."""
    if parameter.envvar:
        return f"`{parameter.envvar}`"
    if parameter.required:
        return "required"
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return "off"
    default = parameter.get_default(click.Context(command(name)))
    return f"`{default}`" if isinstance(default, str | int | float | Path) else ""


def test_no_command_is_documented_that_is_not_there() -> None:
    headings = re.findall(r"^## `bentoml migration (\S+)`$", CLI.read_text(encoding="utf-8"), re.M)
    assert headings == commands()
    for page in PAGES:
        for name in re.findall(r"`bentoml migration ([a-z]+)", prose(page)):
            assert name in commands(), f"{name_of(page)}: {name}"


@pytest.mark.parametrize("name", commands())
def test_each_command_has_an_example(name: str) -> None:
    assert any(page == name_of(CLI) and line[0] == name for page, line in command_lines())


@pytest.mark.parametrize(("page", "line"), list(command_lines()))
def test_each_command_line_in_a_document_is_accepted(
    page: str, line: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for exported in ("UNLEASH_URL", "UNLEASH_ADMIN_TOKEN"):
        monkeypatch.setenv(exported, "set")
    command(line[0]).make_context(line[0], line[1:])


# --- settings and other names ---------------------------------------------------------------------


def test_the_settings_page_is_what_its_script_writes() -> None:
    """Run `python docs/settings_page.py` after a change of the settings."""
    script = runpy.run_path(str(DOCS / "settings_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()


def test_the_readme_of_a_package_index_leads_nowhere_else() -> None:
    script = runpy.run_path(str(DOCS / "long_description.py"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    led = script["led"](text, "https://example.com/project/blob/main/")
    relative = re.compile(r"\]\((?!https?://|#)")
    assert len(relative.findall(text)) > 20
    assert not relative.search(led)
    assert "](https://example.com/project/blob/main/docs/tutorial.md)" in led
    assert re.search(
        r"!\[[^]]+\]\(https://example\.com/project/raw/main/docs/images/flow\.svg\)", led
    )
    assert led.count("](") == text.count("](")


def test_the_page_of_the_notebook_is_what_its_script_writes() -> None:
    """Run `python docs/notebook_page.py` after the notebook has been run and saved."""
    script = runpy.run_path(str(DOCS / "notebook_page.py"))
    text, charts = script["page"]()
    assert script["PAGE"].read_text(encoding="utf-8") == text
    assert charts
    for name, svg in charts.items():
        assert (script["IMAGES"] / name).read_text(encoding="utf-8") == svg


def test_each_setting_is_on_the_settings_page_and_has_a_description() -> None:
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| `{name.upper()}` |" in text
        assert field.description


def test_each_variable_that_a_command_reads_is_on_the_settings_page() -> None:
    text = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    read = {each.envvar for name in commands() for each in command(name).params if each.envvar}
    assert read
    for variable in read:
        assert f"| `{variable}` |" in text


@pytest.fixture(scope="module")
def source_text() -> str:
    files = [
        path for name in ("flags", "comparison", "service") for path in (ROOT / name).rglob("*.py")
    ]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@each_page
def test_each_variable_that_a_page_names_is_in_the_code(page: Path, source_text: str) -> None:
    for name in re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b", prose(page)):
        ours = name.lower() in Settings.model_fields or name in source_text
        prefixes = ("OTEL_", "BENTOML_", "MLFLOW_", "NODE_", "SPARK_")
        theirs = name.startswith(prefixes) or hasattr(ProviderEvent, name)
        assert ours or theirs, name


def test_each_make_verb_that_a_page_names_is_in_the_makefile() -> None:
    verbs = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"(?:`|^\$ )make ([^`\n]*)", text, re.M):
            named = [word for word in line.split('"')[0].split() if "=" not in word]
            assert set(named) <= set(verbs), f"{name_of(page)}: make {line}"
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for verb in verbs:
        assert verb == "help" or f"| `make {verb}` |" in contributing, verb


@pytest.mark.parametrize(
    ("page", "heading", "described"),
    [
        ("how-to/bring-your-own-models.md", "All arguments", migrate),
        ("provider.md", "From a server", flags.FlagServer),
        ("provider.md", "From a server", flags.FlagFile),
        ("provider.md", "From a server", flags.UnleashProvider),
    ],
)
def test_the_arguments_in_a_table_are_those_of_the_code(
    page: str, heading: str, described: Callable[..., Any]
) -> None:
    text = section(DOCS / page, heading)
    own = f"| `{described.__name__}` |"
    table = text[text.index(own) :].partition("\n\n")[0] if own in text else text
    named = [name for first, *_ in rows(table) for name in re.findall(r"`(\w+)`", first)]
    parameters = inspect.signature(described).parameters.values()
    assert named == [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]


def test_each_word_of_the_domain_language_is_in_the_code(source_text: str) -> None:
    documented = set(re.findall(r"^\| `([^`]+)`", ATTRIBUTES.read_text(encoding="utf-8"), re.M))
    for _, meaning, in_code, *attribute in rows((DOCS / "domain-language.md").read_text("utf-8")):
        assert meaning
        for word in re.findall(r"[\w.]+", "".join(re.findall(r"`([^`]+)`", in_code))):
            for part in word.split("."):
                assert re.search(rf"\b{part}\b", source_text), word
        for name in re.findall(r"`(feature_flag\.[^`]+|migration\.[^`]+)`", "".join(attribute)):
            pattern = name.replace("primary", "<side>").replace("candidate", "<side>")
            stem = pattern.removesuffix("*")
            names = (each for each in documented if each == stem or pattern.endswith("*"))
            assert any(each.startswith(stem) for each in names) or name == "migration.pair", name


OVER_WORKERS = {
    "livesum": "sum",
    "livemax": "the worst",
    "livemin": "the oldest",
    "liveall": "one each",
}
METRICS = """
import dataclasses, json
from flags.monitoring.candidate_metrics import candidate_family
from flags.monitoring.metrics import _families
from flags.monitoring.shipping_metrics import shipping_families
print(json.dumps([
    [each._name, each._type, each._labelnames, getattr(each, "_multiprocess_mode", "livesum")]
    for each in (
        candidate_family(),
        *(
            getattr(group, field.name)
            for group in (_families(), shipping_families())
            for field in dataclasses.fields(group)
        ),
    )
]))
"""


def test_the_metrics_are_the_documented_ones() -> None:
    """By name, type, labels, and what becomes of several workers; asked in a process of its own."""
    asked = subprocess.run(
        [sys.executable, "-c", METRICS], capture_output=True, text=True, check=True, timeout=60
    )
    known = {
        name + ("_total" if kind == "counter" else ""): (kind, labels, OVER_WORKERS[mode])
        for name, kind, labels, mode in json.loads(asked.stdout)
    }
    documented = {
        code(name): (kind, ["flag", *re.findall(r"`(\w+)`", labels)], over)
        for name, kind, labels, _, over in rows((DOCS / "reference/metrics.md").read_text("utf-8"))
    }
    assert documented == known


# --- pages ----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_each_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^()\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_each_word_of_the_glossary_is_there_once() -> None:
    words = [first for first, *_ in rows((DOCS / "domain-language.md").read_text("utf-8"))]
    assert len(words) > 60
    assert [word for word in words if words.count(word) > 1] == []


@each_page
def test_lines_fit_their_width(page: Path) -> None:
    """Tables, and the lines of code and output in console blocks, are as wide as they are."""
    for number, line in enumerate(prose(page).splitlines(), 1):
        fits = len(line) <= 100 or line.startswith("|") or "](" in line
        assert fits, f"line {number} of the prose: {line}"


def test_decisions_are_numbered_and_half_a_page_long() -> None:
    decisions = sorted((DOCS / "adr").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [
        f"{n:04}" for n in range(1, len(decisions) + 1)
    ]
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert re.findall(r"^## (\w+)$", text, re.M) == ["Context", "Decision", "Consequences"]
        assert len(text.split()) < 400
