"""What is shipped is what is meant to be: the wheel, the Bento, the lock, the committed text."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flags.export.version import VERSION
from tests.support.paths import ROOT
from tests.support.wheel import built_wheel

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ; [^\\]+)? \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.M)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


# --- the wheel ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(built_wheel(tmp_path_factory)) as file:
        yield file


def files_of(wheel: zipfile.ZipFile, folder: str) -> set[str]:
    return {name for name in wheel.namelist() if name.startswith(f"{folder}/")}


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (each for each in wheel.namelist() if each.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


@pytest.mark.parametrize("package", ["flags", "comparison"])
def test_the_wheel_holds_each_module_of_a_package_and_says_that_it_is_typed(
    wheel: zipfile.ZipFile, package: str
) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}
    assert {name for name in files_of(wheel, package) if name.endswith(".py")} == modules
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_wheel_holds_what_the_dashboard_installs_from(wheel: zipfile.ZipFile) -> None:
    assert {
        "flags/unleash/local/package.json",
        "flags/unleash/local/package-lock.json",
    } <= files_of(wheel, "flags")


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    folders = {name.split("/")[0] for name in wheel.namelist()}
    (information,) = (each for each in folders if each.endswith(".dist-info"))
    assert folders == {"flags", "comparison", information}
    endings = {Path(name).suffix for name in files_of(wheel, "flags")}
    assert endings == {".py", ".typed", ".json", ".html"}


def test_the_version_is_that_of_the_project_and_of_the_wheel_and_in_no_other_place(
    wheel: zipfile.ZipFile,
) -> None:
    version = project()["project"]["version"]
    assert Parser().parsestr(metadata(wheel, "METADATA"))["Version"] == version == VERSION
    for package in ("flags", "comparison", "service", "docs"):
        for path in (ROOT / package).rglob("*.py"):
            assert version not in path.read_text(encoding="utf-8"), path


def test_the_wheel_announces_its_command_its_licence_and_its_requirements(
    wheel: zipfile.ZipFile,
) -> None:
    assert "[bentoml.commands]\nmigration = flags.cli:migration" in metadata(
        wheel, "entry_points.txt"
    )
    told = Parser().parsestr(metadata(wheel, "METADATA"))
    assert (told["Name"], told["License-Expression"]) == ("bentoml-flags", "Apache-2.0")
    assert told["Requires-Python"] == ">=3.11"
    extras = {"comparison", "dashboard", "demo", "judge", "notify", "text"}
    extras |= {"clickhouse", "mlflow", "spark", "trino"}
    assert set(told.get_all("Provides-Extra") or ()) == extras
    required = {Requirement(each) for each in told.get_all("Requires-Dist") or ()}
    plain = {each for each in required if "extra" not in str(each.marker)}
    assert plain == {Requirement(each) for each in project()["project"]["dependencies"]}


# --- the Bento and the lock -----------------------------------------------------------------------


def test_a_bento_gets_what_the_project_and_its_reference_service_need() -> None:
    """A Bento with a bentofile does not read pyproject.toml."""
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text(encoding="utf-8"))
    declared = project()["project"]
    needed = [*declared["dependencies"], *declared["optional-dependencies"]["demo"]]
    assert bento["python"]["packages"] == needed


def test_the_bento_of_two_environments_gets_what_the_plugin_needs() -> None:
    file = ROOT / "examples" / "two_environments" / "bentofile.yaml"
    bento = yaml.safe_load(file.read_text(encoding="utf-8"))
    unused = {"pandas", "rich"}  # of commands that a Bento does not have
    declared = project()["project"]["dependencies"]
    assert {each for each in declared if Requirement(each).name not in unused} <= {
        *bento["python"]["packages"]
    }


def direct_dependencies() -> list[str]:
    declared = project()
    extras = declared["project"]["optional-dependencies"]
    locked = (wanted for name, wanted in extras.items() if name != "spark")  # see the Makefile
    groups = (locked, declared["dependency-groups"].values())
    further = (each for group in groups for requirements in group for each in requirements)
    return [*declared["project"]["dependencies"], *further]


@pytest.mark.parametrize("text", direct_dependencies())
def test_the_lock_pins_each_direct_dependency_within_its_bounds_and_with_hashes(text: str) -> None:
    wanted = Requirement(text)
    pinned = {name: (version, hashes) for name, version, hashes in PINNED.findall(LOCK)}
    version, hashes = pinned[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(version, prereleases=True)
    for each in hashes.split("\n"):
        assert not each or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", each)


def test_the_lock_names_no_index_no_mirror_and_no_address() -> None:
    """Nothing but pins, their hashes, and who wants them."""
    rest = re.sub(r"^ *#[^\n]*\n", "", PINNED.sub("", LOCK), flags=re.M)
    assert rest == ""
    assert "//" not in LOCK


# --- the committed text ---------------------------------------------------------------------------

_INDEX = re.compile(
    r"--(?:extra-)?index-url|--find-links|https?://\S+(?<!/auth)/simple\b|\"resolved\":"
    r"|files\.pythonhosted\.org|registry\.npmjs\.org"
)
_HOME = re.compile(r"(?:/home|/Users|C:\\Users)[/\\]\w+|/root/")


def committed() -> Iterator[tuple[str, str]]:
    """Yield the name and text of each file that is, or would be, committed, but for this one."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:  # a picture
                continue


def places() -> re.Pattern[str]:
    """Return what finds the folders of this machine that no file has reason to name."""
    folders = {ROOT, ROOT.parent, Path(sys.prefix), Path(sys.prefix).parent}
    ordinary = {Path("/")} | {Path("/", name) for name in ("app", "opt", "src", "tmp", "usr")}
    names = "|".join(re.escape(str(each)) for each in sorted(folders - ordinary))
    return re.compile(rf"(?<![\w./-])(?:{names})/")


def indexes() -> set[str]:
    """Return the hosts of the package indexes that this machine is told to use."""
    names = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "NPM_CONFIG_REGISTRY")
    urls = (os.environ.get(each) or os.environ.get(each.lower()) or "" for each in names)
    return {host for host in (urlsplit(url).hostname for url in urls) if host} - {"pypi.org"}


def test_no_committed_text_names_a_place_on_a_machine() -> None:
    here = places()
    for name, text in committed():
        found = _HOME.search(text) or here.search(text)
        assert found is None, f"{name}: {found and found.group()}"


def test_no_committed_text_names_a_package_index() -> None:
    for name, text in committed():
        found = _INDEX.search(text)
        assert found is None, f"{name}: {found and found.group()}"
        assert [host for host in indexes() if host in text] == [], name


# --- the tests themselves -------------------------------------------------------------------------


def test_tests_that_share_what_is_costly_are_kept_in_one_process(
    request: pytest.FixtureRequest,
) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("not run with --dist loadgroup (make test)")
    assert request.node.nodeid.endswith("@tests/unit/test_packaging.py")
