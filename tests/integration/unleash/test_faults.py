"""Whatever the flag server does, the service answers, by the right side, and says so once."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from openfeature import api
from openfeature.exception import ProviderNotReadyError

from flags.pairing.assignment import Assignment, FlagAssignment, Side
from flags.unleash.admin import seed
from flags.unleash.admin.errors import AdminError
from flags.unleash.freshness import State
from flags.unleash.local import LocalUnleash
from flags.unleash.provider import FlagServer, UnleashProvider
from tests.support.fakes import FakeClock, eventually
from tests.support.faulty_proxy import FEATURES, Fault, FaultyProxy

DOMAIN = "fault-tests"
START_LIMIT = 3.0
"""Seconds that the flags may hold a worker's start up, whatever the server does."""

FAULTS = [fault for fault in Fault if fault not in (Fault.NONE, Fault.EMPTY, Fault.TRICKLES)]
"""Those that give no flags. An empty list is an answer, and so is one that comes in time."""

Start = Callable[..., UnleashProvider]


@pytest.fixture(scope="module")
def unleash(own_unleash: LocalUnleash) -> LocalUnleash:
    """An Unleash whose database may be killed."""
    return own_unleash


@pytest.fixture(scope="module")
def flag(unleash: LocalUnleash) -> str:
    """A flag that makes the candidate active for everybody: the primary answers only by a fault."""
    key = "fault-tests-v2"
    seed(unleash.admin, key)
    unleash.admin.set_rollout(key, 100)
    return key


@pytest.fixture
def proxy(unleash: LocalUnleash) -> Iterator[FaultyProxy]:
    with FaultyProxy(unleash.url, unleash.admin_token) as proxy:
        yield proxy


@pytest.fixture
def start(unleash: LocalUnleash, proxy: FaultyProxy) -> Iterator[Start]:
    """Start a provider on the proxy as a worker does, whatever comes of it."""

    def start(*, clock: Callable[[], float] = time.monotonic, **options: Any) -> UnleashProvider:
        server = FlagServer(proxy.sdk_url, unleash.client_token, refresh_interval=1, **options)
        provider = UnleashProvider(server, clock=clock)
        began = time.monotonic()
        with suppress(ProviderNotReadyError):
            api.set_provider_and_wait(provider, domain=DOMAIN)
        assert time.monotonic() - began < START_LIMIT
        return provider

    yield start
    proxy.fault = Fault.NONE
    api.clear_providers()


def assigned(flag: str) -> Assignment:
    return FlagAssignment(flag, DOMAIN)("request-1")


def log_of(proxy: FaultyProxy, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged about this proxy, by anybody."""
    lines = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    return [line for line in lines if proxy.url in line]


def words_of(fault: Fault) -> str:
    """Return what the log is to say of a fault."""
    return {
        Fault.UNAUTHORISED: "answers with status 401",
        Fault.FORBIDDEN: "answers with status 403",
        Fault.TOO_MANY: "answers with status 429",
        Fault.FAILS: "answers with status 500",
        Fault.HTML: "is not JSON",
        Fault.TRUNCATED: "is not JSON",
        Fault.CUT_OFF: "breaks its answers off",
    }.get(fault, "does not answer")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
def test_a_start_under_a_fault_is_bounded_leaves_the_primary_and_recovers(
    flag: str, proxy: FaultyProxy, start: Start, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fault = fault
    provider = start()
    assert provider.state is State.NOT_READY
    assignment = assigned(flag)
    assert (assignment.active, assignment.error) == (Side.PRIMARY, "provider_not_ready")
    assert words_of(fault) in str(assignment.error_message)

    assert eventually(lambda: proxy.asked[FEATURES] >= 3)
    assert assigned(flag).active is Side.PRIMARY
    (told,) = log_of(proxy, caplog)
    assert words_of(fault) in told
    assert told.endswith("there are no flags, so the primary answers")

    proxy.fault = Fault.NONE
    assert eventually(lambda: assigned(flag).active is Side.CANDIDATE)
    assert eventually(lambda: log_of(proxy, caplog) == [told, f"{proxy.sdk_url} is good again"])
    assert provider.state is State.READY


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.lower())
def test_a_fault_later_on_keeps_the_last_good_flags_goes_stale_and_recovers(
    flag: str,
    proxy: FaultyProxy,
    start: Start,
    fault: Fault,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = start(clock=clock, request_timeout=1)
    assert provider.state is State.READY
    proxy.fault = fault
    assert eventually(lambda: provider.error)
    assert assigned(flag).active is Side.CANDIDATE
    assert provider.state is State.READY

    clock.advance(3.5)
    assert eventually(lambda: log_of(proxy, caplog))
    asked = proxy.asked[FEATURES]
    assert eventually(lambda: proxy.asked[FEATURES] > asked)
    assert provider.state is State.STALE
    assert (assigned(flag).active, assigned(flag).reason) == (Side.CANDIDATE, "stale")
    (told,) = log_of(proxy, caplog)
    assert words_of(fault) in told
    assert told.endswith("the last good flags stay in use")

    proxy.fault = Fault.NONE
    assert eventually(lambda: provider.state is State.READY)
    assert assigned(flag).reason == "static"
    assert eventually(lambda: log_of(proxy, caplog) == [told, f"{proxy.sdk_url} is good again"])


def test_each_reason_is_told_once_until_the_server_is_good_again(
    flag: str, proxy: FaultyProxy, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that comes back with another fault is not hidden behind the first one."""
    provider = start()
    faults = (Fault.GONE, Fault.UNAUTHORISED, Fault.HTML)
    for fault in (*faults, Fault.UNAUTHORISED):
        proxy.fault = fault
        words = words_of(fault)
        assert eventually(lambda: words in str(provider.error))  # noqa: B023 - asked at once
    proxy.fault = Fault.NONE
    assert eventually(lambda: "is good again" in caplog.text)
    *told, good = log_of(proxy, caplog)
    assert len(told) == len(faults)
    assert all(words_of(fault) in line for fault, line in zip(faults, told, strict=True))
    assert good == f"{proxy.sdk_url} is good again"


def test_an_empty_list_of_flags_is_an_answer_that_leaves_the_primary(
    flag: str, proxy: FaultyProxy, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The flag is missing then: nothing says any more that the candidate may answer."""
    provider = start()
    assert assigned(flag).active is Side.CANDIDATE
    proxy.fault = Fault.EMPTY
    assert eventually(lambda: assigned(flag).active is Side.PRIMARY)
    assert (assigned(flag).error, assigned(flag).shadow) == ("flag_not_found", True)
    assert provider.state is State.READY
    assert eventually(lambda: log_of(proxy, caplog))
    asked = proxy.asked[FEATURES]
    assert eventually(lambda: proxy.asked[FEATURES] >= asked + 2)
    (told,) = log_of(proxy, caplog)
    assert told.startswith(f"{proxy.sdk_url} no longer has ")
    proxy.fault = Fault.NONE
    assert eventually(lambda: assigned(flag).active is Side.CANDIDATE)


def test_a_flip_during_a_fault_takes_effect_once_the_fault_is_over(
    flag_key: str, unleash: LocalUnleash, proxy: FaultyProxy, start: Start
) -> None:
    seed(unleash.admin, flag_key)
    unleash.admin.set_rollout(flag_key, 100)
    start()
    assert eventually(lambda: assigned(flag_key).active is Side.CANDIDATE)
    proxy.fault = Fault.TRUNCATED
    unleash.admin.turn_off(flag_key)
    asked = proxy.asked[FEATURES]
    assert eventually(lambda: proxy.asked[FEATURES] >= asked + 2)
    assert assigned(flag_key).active is Side.CANDIDATE
    proxy.fault = Fault.NONE
    assert eventually(lambda: assigned(flag_key).active is Side.PRIMARY)


def test_flags_that_come_slower_than_a_start_may_take_are_used_once_they_are_there(
    flag: str, proxy: FaultyProxy, start: Start
) -> None:
    proxy.fault = Fault.TRICKLES
    start(request_timeout=10)
    assert assigned(flag).error == "provider_not_ready"
    assert eventually(lambda: assigned(flag).active is Side.CANDIDATE)


def test_a_cache_of_the_last_good_flags_outlives_the_worker(
    flag: str, proxy: FaultyProxy, start: Start, tmp_path: Path, clock: FakeClock
) -> None:
    start(cache=tmp_path)
    api.clear_providers()
    proxy.fault = Fault.SILENT
    provider = start(cache=tmp_path, clock=clock)
    assert provider.state is State.READY
    assert assigned(flag).active is Side.CANDIDATE
    clock.advance(3.5)
    assert provider.state is State.STALE
    assert assigned(flag).active is Side.CANDIDATE


def test_a_bootstrap_file_is_a_copy_of_what_the_server_answers(
    flag: str, unleash: LocalUnleash, proxy: FaultyProxy, start: Start, tmp_path: Path
) -> None:
    headers = {"Authorization": unleash.client_token}
    flags = requests.get(f"{unleash.url}{FEATURES}", headers=headers, timeout=5).text
    bootstrap = tmp_path / "bootstrap.json"
    bootstrap.write_text(flags)
    proxy.fault = Fault.GONE
    provider = start(bootstrap=bootstrap)
    assert provider.state is State.READY
    assert assigned(flag).active is Side.CANDIDATE


def test_a_provider_can_be_shut_down_while_the_server_is_silent(
    flag: str, proxy: FaultyProxy, start: Start
) -> None:
    provider = start()
    assert assigned(flag).active is Side.CANDIDATE  # usage metrics to send at the end
    proxy.fault = Fault.SILENT
    asked = proxy.asked[FEATURES]
    assert eventually(lambda: proxy.asked[FEATURES] > asked)
    began = time.monotonic()
    provider.shutdown()
    assert time.monotonic() - began < 6


def test_a_server_without_its_database_goes_on_with_the_last_good_flags(
    flag_key: str, unleash: LocalUnleash, start: Start
) -> None:
    """Unleash 8 answers known tokens from memory for a minute, then ends itself.

    It ends at once if it was just dealing with an event; then it is started again.
    """
    seed(unleash.admin, flag_key)
    unleash.admin.set_rollout(flag_key, 100)
    provider = start()
    assert eventually(lambda: assigned(flag_key).active is Side.CANDIDATE)
    unleash.postgres.kill()
    try:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert assigned(flag_key).active is Side.CANDIDATE
            time.sleep(0.05)
        assert provider.has_flags
    finally:
        unleash.postgres.start()
    assert eventually(
        lambda: moved(unleash, flag_key) and assigned(flag_key).active is Side.PRIMARY, 60
    )
    assert eventually(lambda: provider.state is State.READY)


def moved(unleash: LocalUnleash, flag: str) -> bool:
    """Switch the flag off; say whether Unleash could. Start it again if it has ended."""
    if unleash.server.pid is None:
        unleash.restart_server()
    try:
        unleash.admin.turn_off(flag)
    except AdminError:
        return False
    return True
