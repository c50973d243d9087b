"""The flag server stops answering under a running service, or is not there when one starts."""

import os
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flags.export import attributes
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from tests.support.fakes import eventually
from tests.support.flagged_service import FlaggedService, Load, Reply, has, served

FLAG = "scores-v2-outages"
OUTAGE = 10.0
SILENCE = 6.0
"""Seconds; flags are stale after three."""
MAX_WAIT = 1.0
"""Seconds within which 99 % of the answers come; a look at a silent server takes two."""

stale = has(attributes.FLAG_REASON, "stale")
fresh = has(attributes.FLAG_REASON, "static")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unleash(own_unleash: LocalUnleash) -> LocalUnleash:
    """An Unleash that may fall silent."""
    return own_unleash


@pytest.fixture(scope="module")
def ramped(unleash: LocalUnleash) -> LocalUnleash:
    """An Unleash whose flag is at 100 %: the primary answers only where there are no flags."""
    seed(unleash.admin, FLAG)
    unleash.admin.set_rollout(FLAG, 100)
    return unleash


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outages")


@pytest.fixture(scope="module")
def service(ramped: LocalUnleash, folder: Path) -> Iterator[FlaggedService]:
    """A service that keeps its last good flags in `folder`/cache."""
    with served(folder, ramped, FLAG, FLAGS_CACHE_DIR=str(folder / "cache")) as service:
        service.follows(has(attributes.ROLLOUT, 100))
        yield service


def sides(replies: list[Reply]) -> set[str | None]:
    return {reply.side for reply in replies}


def next_replies(load: Load) -> list[Reply]:
    """Return replies to requests that begin from now on."""
    now = time.time()
    assert eventually(lambda: len(load.since(now)) >= 40)
    return load.since(now)


def statuses(replies: list[Reply]) -> set[int]:
    return {reply.status for reply in replies}


def test_a_server_that_falls_silent_delays_no_answer(
    service: FlaggedService, ramped: LocalUnleash
) -> None:
    """The kernel goes on accepting connections for the stopped process: a black hole."""
    server = ramped.server.pid
    assert server is not None
    with service.load() as load:
        os.kill(server, signal.SIGSTOP)
        try:
            time.sleep(SILENCE)
            service.follows(stale)
            assert eventually(lambda: service.believed() == (["stale"] * 2, {"stale": 2}))
        finally:
            os.kill(server, signal.SIGCONT)
        service.follows(fresh)
    assert load.failed() == []
    assert sides(load.replies) == {"candidate"}
    durations = [reply.ended - reply.began for reply in load.replies]
    assert statistics.quantiles(durations, n=100)[-1] < MAX_WAIT
    assert len(service.told(f"{ramped.sdk_url} does not answer")) == 2  # one line per worker
    assert len(service.told(f"{ramped.sdk_url} is good again")) == 2


def test_an_outage_under_load_costs_no_answer_and_heals_by_itself(
    service: FlaggedService, ramped: LocalUnleash
) -> None:
    lines = len(service.told(ramped.sdk_url))
    with service.load() as load:
        ramped.server.kill()
        try:
            time.sleep(OUTAGE)
            service.follows(stale)
            assert eventually(lambda: service.believed() == (["stale"] * 2, {"stale": 2}))
        finally:
            ramped.restart_server()
        service.follows(fresh)
        assert eventually(lambda: service.believed() == (["ready"] * 2, {"ready": 2}))
        flipped = time.time()
        ramped.admin.set_rollout(FLAG, 0)
        service.follows(has(attributes.ROLLOUT, 0))
        assert sides(next_replies(load)) == {"primary"}
    ramped.admin.set_rollout(FLAG, 100)
    assert load.failed() == []
    assert sides([reply for reply in load.replies if reply.ended < flipped]) == {"candidate"}
    told = service.told(ramped.sdk_url)[lines:]
    assert len([line for line in told if "does not answer; the last good flags" in line]) == 2
    assert len([line for line in told if "is good again" in line]) == 2
    service.follows(has(attributes.ROLLOUT, 100))


def test_a_start_without_the_server_goes_on_with_the_last_good_flags(
    service: FlaggedService, ramped: LocalUnleash, folder: Path
) -> None:
    """Those that another worker has kept in the folder."""
    cache = str(folder / "cache")
    ramped.server.kill()
    try:
        with served(folder / "second", ramped, FLAG, workers=1, FLAGS_CACHE_DIR=cache) as second:
            replies = second.ask(f"second-{number}" for number in range(20))
            assert (sides(replies), statuses(replies)) == ({"candidate"}, {200})
    finally:
        ramped.restart_server()


def test_a_start_without_the_server_and_without_flags_is_the_primary_s_until_they_come(
    ramped: LocalUnleash, folder: Path
) -> None:
    server = ramped.server.pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    try:
        with served(folder / "empty", ramped, FLAG) as started, started.load() as load:
            assert sides(next_replies(load)) == {"primary"}
            without = (["not_ready"] * 2, {"not_ready": 2})
            assert eventually(lambda: started.believed() == without)
            os.kill(server, signal.SIGCONT)
            started.follows(fresh)
            assert sides(next_replies(load)) == {"candidate"}
            assert load.failed() == []
            told = started.told(f"{ramped.sdk_url} does not answer; there are no flags")
            assert len(told) == 2
            assert len(started.told(f"{ramped.sdk_url} is good again")) == 2
    finally:
        os.kill(server, signal.SIGCONT)
