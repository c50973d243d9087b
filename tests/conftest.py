"""What every test may ask for: a clean environment, a clock, a flags file, a gate that opens."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from flags.serving.settings import Settings
from tests.support.fakes import FakeClock, Release
from tests.support.flags_file import FlagsOnDisk

_PREFIXES = ("UNLEASH_", "OTEL_")

# No deadlines: they measure the machine. `make test` and `make test-all` name their profile.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", max_examples=500, deadline=None)
settings.load_profile("fixed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, for `--dist loadgroup`, the tests of a module that share what is costly.

    A unit test goes to the next free process by itself, unless its module has fixtures of its own
    for the whole module; the other kinds start servers, module by module. What wants an Unleash
    of its own goes to one process, which starts one.
    """
    costly = {item.path for item in items if _shares(item)}
    for item in items:
        if "own_unleash" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("own_unleash"))
        elif item.path in costly:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _shares(item: pytest.Item) -> bool:
    if "unit" not in item.path.parts:
        return True
    info = getattr(item, "_fixtureinfo", None)
    definitions = info.name2fixturedefs.values() if info else ()
    return any(each.scope == "module" for found in definitions for each in found)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every variable that the settings or OpenTelemetry would read."""
    names = {name.upper() for name in Settings.model_fields}
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name.upper() in names:
            monkeypatch.delenv(name)


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still until it is advanced."""
    return FakeClock()


@pytest.fixture
def gate() -> Iterator[Release]:
    """Return a gate that is opened at the end, so that no thread of a fake outlives its test."""
    release = Release()
    yield release
    release.open()


@pytest.fixture
def flags_file(tmp_path: Path) -> FlagsOnDisk:
    """Return a flags file that does not exist yet."""
    return FlagsOnDisk(tmp_path / "flags.json")
