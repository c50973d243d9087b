"""What an import pulls in, each in an interpreter of its own."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import comparison
import flags
from flags.cli import _COMMANDS
from tests.support.paths import ROOT

HEAVY = ("pandas", "numpy", "sklearn", "scipy", "pyarrow", "matplotlib")


def printed(code: str) -> str:
    """Return what `code` prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    return done.stdout


def pulled_in(code: str) -> set[str]:
    """Return the top-level packages that are imported after `code` has run."""
    script = f"{code}\nimport sys\nprint('pulled in', *{{n.split('.')[0] for n in sys.modules}})"
    return set(printed(script).rpartition("pulled in")[2].split())


def modules_of(package: str) -> list[str]:
    """Return the modules of `package`, without those that have the right to more."""
    files = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names]


def test_importing_flags_is_nearly_free() -> None:
    found = pulled_in("import flags")
    assert not found & {
        *HEAVY,
        "bentoml",
        "comparison",
        "service",
        "openfeature",
        "yggdrasil_engine",
    }


def test_the_core_needs_no_bentoml() -> None:
    """So that a pairing can be used in any program, and the flag provider in any service."""
    code = "from flags import Pairing, Scorer, Reading, UnleashProvider, FlagAssignment, Settings"
    assert not pulled_in(code) & {*HEAVY, "bentoml", "comparison", "service"}


def test_the_plugin_needs_no_pandas() -> None:
    """BentoML 1.4 itself imports neither pandas nor numpy before they are used."""
    assert "pandas" not in pulled_in("import bentoml")
    found = pulled_in("from flags import migrate")
    assert "bentoml" in found
    assert not found & {*HEAVY, "comparison", "service"}


def test_no_module_of_the_plugin_imports_pandas_or_the_other_packages() -> None:
    code = "\n".join(f"import {name}" for name in modules_of("flags"))
    assert not pulled_in(code) & {"pandas", "sklearn", "comparison", "service"}


def test_the_comparison_needs_no_bentoml() -> None:
    code = "\n".join(f"import {name}" for name in modules_of("comparison"))
    assert not pulled_in(code) & {"bentoml", "_bentoml_sdk", "service", "yggdrasil_engine"}


def test_the_private_modules_of_bentoml_are_imported_in_one_place() -> None:
    private = re.compile(
        r"^\s*(?:from|import) (?:_bentoml_sdk|_bentoml_impl|bentoml\._internal)", re.M
    )
    using = {
        path.relative_to(ROOT).as_posix()
        for package in ("flags", "comparison", "service", "examples")
        for path in (ROOT / package).rglob("*.py")
        if private.search(path.read_text(encoding="utf-8"))
    }
    # The launcher runs in another interpreter, which has BentoML and nothing of this package.
    of_the_other = {"flags/serving/isolated/launcher.py"}
    assert using == {"flags/serving/bentoml_private.py", *of_the_other}


def test_serving_knows_nothing_of_what_moves_the_flag() -> None:
    """The answer of a service must not wait for, or fail with, the tools of its operators."""
    script = "import sys; from flags import migrate; print(*sys.modules)"
    loaded = printed(script).split()
    unwanted = ("flags.unleash.admin", "flags.operate", "flags.playbook.model", "flags.cli")
    assert "flags.serving.migrate" in loaded
    assert not [name for name in loaded if name.startswith(unwanted)]


ENGINES = ("ibis", "duckdb", "chdb", "clickhouse_connect")
IN_A_MOMENT = {
    "--help": ("requests",),
    **{f"{name} --help": () for name in _COMMANDS},
    "gate --help": ("requests",),
    "compare --help": ("requests",),
    "file flags.json --flag x": ("requests",),
    "playbook x.yaml --flag x": ("requests",),
    "playbook x.yaml --check": ("requests",),
    "status --service http://127.0.0.1:9 --flag x": (),
    "rollback why --flag x --url http://127.0.0.1:9 --token x:y.z": (),
}
"""Commands that need no engine, and what else they do without.

BentoML's own `bentoml --help` takes half a second of a processor; these add 0.3 s at most.
"""


def test_what_needs_no_engine_starts_without_one(tmp_path: Path) -> None:
    """Each command in the same interpreter, from what imports least to what imports most."""
    ordered = sorted(IN_A_MOMENT, key=lambda words: -len(IN_A_MOMENT[words]))
    code = (
        "import os, sys\n"
        "from click.testing import CliRunner\n"
        "from bentoml_cli.cli import create_bentoml_cli\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "cli = create_bentoml_cli()\n"
        f"for words in {ordered!r}:\n"
        "    shown = CliRunner().invoke(cli, ['migration', *words.split()])\n"
        "    assert shown.exit_code in (0, 1), (words, shown.output, shown.exception)\n"
        "    print('ran', words, '|', *{n.split('.')[0] for n in sys.modules})\n"
    )
    lines = [line for line in printed(code).splitlines() if line.startswith("ran ")]
    assert len(lines) == len(IN_A_MOMENT)
    for line in lines:
        words, _, modules = line.removeprefix("ran ").partition(" | ")
        unwanted = {*HEAVY, *ENGINES, "yggdrasil_engine", *IN_A_MOMENT[words]}
        assert not unwanted & set(modules.split()), words


def test_comparing_needs_an_engine(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    found = pulled_in("import comparison.report.comparison")
    assert "pandas" in found


PUBLIC = [(package, name) for package in (flags, comparison) for name in package.__all__]


@pytest.mark.parametrize(("package", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_every_public_name_resolves_to_something_of_that_name(
    package: ModuleType, name: str
) -> None:
    public = getattr(package, name)
    assert getattr(public, "__name__", name) == name
    assert not isinstance(public, ModuleType)
    assert public.__doc__


@pytest.mark.parametrize("package", [flags, comparison])
def test_the_public_names_are_complete_and_sorted(package: ModuleType) -> None:
    assert list(package.__all__) == sorted(package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)
    declared = {name for names in package._NAMES_BY_MODULE.values() for name in names}
    assert declared == set(package.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flags' has no attribute 'migrat'"):
        _ = flags.migrat
    with pytest.raises(AttributeError, match="module 'comparison' has no attribute 'compair'"):
        _ = comparison.compair
