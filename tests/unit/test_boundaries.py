"""What an import pulls in, each in an interpreter of its own."""

import re
import subprocess
import sys

import pytest

import flags
from tests.support.paths import ROOT

HEAVY = ("pandas", "numpy", "sklearn", "scipy", "pyarrow", "matplotlib")


def pulled_in(code: str) -> set[str]:
    """Return the top-level packages that are imported after `code` has run."""
    script = f"{code}\nimport sys\nprint('pulled in', *{{n.split('.')[0] for n in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    return set(done.stdout.rpartition("pulled in")[2].split())


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
    loaded = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    ).stdout.split()
    unwanted = ("flags.unleash.admin", "flags.operate", "flags.playbook.model", "flags.cli")
    assert "flags.serving.migrate" in loaded
    assert not [name for name in loaded if name.startswith(unwanted)]


def test_help_of_the_commands_needs_no_pandas() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from bentoml_cli.cli import create_bentoml_cli\n"
        "shown = CliRunner().invoke(create_bentoml_cli(), ['migration', '--help'])\n"
        "assert shown.exit_code == 0, shown.output\n"
        "assert 'compare' in shown.output, shown.output\n"
    )
    found = pulled_in(code)
    assert "bentoml" in found
    assert not found & {"pandas", "comparison", "yggdrasil_engine"}


@pytest.mark.parametrize("name", flags.__all__)
def test_every_public_name_resolves_to_something_of_that_name(name: str) -> None:
    public = getattr(flags, name)
    assert getattr(public, "__name__", name) == name
    assert public.__doc__


def test_the_public_names_are_complete_and_sorted() -> None:
    assert list(flags.__all__) == sorted(flags.__all__)
    assert len(set(flags.__all__)) == len(flags.__all__)
    declared = {name for names in flags._HOME.values() for name in names}
    assert declared == set(flags.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flags' has no attribute 'migrat'"):
        _ = flags.migrat
