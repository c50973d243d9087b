"""What every test may ask for: a clean environment, a clock, a flags file, a gate that opens."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flags.serving.settings import Settings
from tests.support.fakes import FakeClock, Release
from tests.support.flags_file import FlagsOnDisk

_PREFIXES = ("UNLEASH_", "OTEL_")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every variable that the settings or OpenTelemetry would read."""
    settings = {name.upper() for name in Settings.model_fields}
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name.upper() in settings:
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
