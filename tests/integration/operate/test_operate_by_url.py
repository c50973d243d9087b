"""`advance`, `autopilot` and `retire` on pairs at a URL: verdicts of the folder, and the moves."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from comparison.cli import advance, autopilot, retire
from comparison.engines.engine_urls import shown_url
from tests.integration.operate.test_operate import (
    MAX_WAIT,
    PAIRS,
    Migration,
    Pilot,
    admin,
    flagged,
)
from tests.support.fakes import eventually
from tests.support.pair_places import PLACES, PairPlace, pair_place

__all__ = ["admin", "flagged"]

pytest_plugins = ("tests.support.unleash.server",)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PairPlace]:
    with pair_place(request.param, tmp_path) as filled:
        yield filled


class StoppedClock(datetime):
    """The moment at which commands look; no time passes from one to the other."""

    moment = datetime.now(UTC)

    @classmethod
    def now(cls, _zone: object = None) -> datetime:
        return cls.moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[StoppedClock]:
    for command in (advance, autopilot, retire):
        monkeypatch.setattr(command, "datetime", StoppedClock)
    return StoppedClock


def verdict(flagged: Migration, command: str, at: str, *options: str) -> bytes:
    """Return the verdict on a place that a command wrote, without the name of its source."""
    file = flagged.playbook.with_name("verdict.json")
    file.unlink(missing_ok=True)
    done = flagged.run(command, "--json", str(file), *options, pairs=at)
    assert file.exists(), done.output
    found, name = file.read_bytes(), orjson.dumps(shown_url(at) if "://" in at else at)
    assert name in found
    return found.replace(name, b'"here"')


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_a_migration_by_url_is_that_by_the_folder(
    flagged: Migration, place: PairPlace, clock: type[StoppedClock]
) -> None:
    look = ("--once", "--dry-run")
    for reached, command in (("5 %", ("advance",)), ("10 %", ("autopilot", "--once"))):
        flagged.make_pairs()
        place.refresh(flagged.pairs)
        clock.moment = datetime.now(UTC)
        here = verdict(flagged, "autopilot", str(flagged.pairs), *look)
        assert b'"decision": "ADVANCE"' in here
        assert verdict(flagged, "autopilot", place.url, *look) == here
        early = flagged.run("retire", "--service", "a:B", pairs=place.url)
        assert early.exit_code == 10, early.output
        assert f"the primary cannot go yet: canary, {reached} comes first" in early.output
        assert verdict(flagged, *command[:1], place.url, *command[1:]) == here
        assert flagged.at == reached

    held = flagged.run("autopilot", "--once", pairs=place.url)
    assert (held.exit_code, flagged.at) == (10, "10 %"), held.output
    flagged.make_pairs(candidate_alarms=True)
    place.refresh(flagged.pairs)
    clock.moment = datetime.now(UTC)
    here = verdict(flagged, "autopilot", str(flagged.pairs), *look)
    refused = flagged.run("advance", pairs=place.url)
    assert (refused.exit_code, flagged.at) == (20, "10 %"), refused.output
    assert verdict(flagged, "autopilot", place.url, "--once") == here
    assert b'"decision": "ROLLBACK"' in here
    assert flagged.at == "off"


@pytest.mark.slow
@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_an_autopilot_on_a_store_takes_each_step_as_pairs_come(
    flagged: Migration, place: PairPlace, tmp_path: Path
) -> None:
    """It looks every second, and sees what `compact` has added to the same folder."""
    flagged.make_pairs(pairs=4 * PAIRS)
    place.refresh(flagged.pairs)
    pilot = Pilot(flagged, tmp_path / "log", pairs=place.url)
    try:
        for reached in ("5 %", "10 %"):
            assert eventually(lambda to=reached: flagged.at == to, MAX_WAIT), pilot.log.read_text()
            flagged.make_pairs(pairs=4 * PAIRS, candidate_alarms=reached == "10 %")
            place.refresh(flagged.pairs)
        assert eventually(lambda: flagged.at == "off", MAX_WAIT), pilot.log.read_text()
    finally:
        pilot.process.kill()
        pilot.process.wait()
    assert [change["after"]["enabled"] for change in flagged.changes] == [True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["duckdb"], indirect=True)
def test_retire_by_url_lets_the_primary_go_after_the_last_step(
    flagged: Migration, place: PairPlace
) -> None:
    flagged.admin.set_rollout(flagged.flag, 100)
    flagged.make_pairs()
    place.refresh(flagged.pairs)
    candidate = ("--service", "tests.support.services.varied:ClaimsV2", "--within", "300s")
    done = flagged.run("retire", *candidate, pairs=place.url)
    assert done.exit_code == 0, done.output
    assert "ADVANCE: the primary can be retired" in done.output
    assert "varied:ClaimsV2 serves alone: ready after" in done.output
