"""What a worker says of itself, over a real flags file and real pair files."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryProvider

from flags.export.destination import Destination
from flags.export.pair_files import FileLimits, PairFiles
from flags.export.shipped_file import ShippingLimits
from flags.export.shipper import Shipper
from flags.monitoring.metrics import CountedPairs, WorkerMetrics
from flags.monitoring.self_report import FlagReader, SelfReport, ShippingReport
from flags.monitoring.worker_state import WorkerFlag
from flags.pairing.observation import InMemoryPairs
from flags.pairing.tuning import Tuning
from flags.printable import without_credentials
from flags.unleash.provider import FlagFile, FlagServer, UnleashProvider
from tests.support.fakes import eventually
from tests.support.flags_file import FlagsOnDisk
from tests.support.pair_files import PairFile, traces
from tests.unit.flags.monitoring.test_metrics import PAIR

DOMAIN = "self-report-tests"

Look = Callable[[], WorkerFlag]


@pytest.fixture(autouse=True)
def _no_provider_left() -> Iterator[None]:
    yield
    api.clear_providers()


@pytest.fixture
def look(flags_file: FlagsOnDisk) -> Look:
    """Return a look at `flag` through a provider that follows the flags file."""
    flags_file.roll_out("25")
    source = FlagFile(flags_file.path)
    api.set_provider_and_wait(UnleashProvider(source), domain=DOMAIN)
    tuning = Tuning(["score"], decide=lambda answer, _thresholds: answer)
    return FlagReader("flag", api.get_client(DOMAIN), [tuning], source)


def payload(value: Any) -> dict[str, Any]:
    return {"name": "v", "weight": 1000, "payload": {"type": "json", "value": json.dumps(value)}}


def test_a_worker_sees_the_flag_as_its_source_has_it(look: Look, flags_file: FlagsOnDisk) -> None:
    seen = look()
    assert (seen.provider, seen.state, seen.shows_flag) == ("unleash", "ready", True)
    assert (seen.enabled, seen.rollout, seen.stickiness) == (True, 25.0, "requestId")
    assert seen.source == str(flags_file.path)
    assert seen.age_seconds is not None
    assert 0 <= seen.age_seconds < 5
    assert seen.error is None
    assert seen.warnings == ()
    assert seen.thresholds == {}


def test_a_worker_follows_every_turn_of_the_flag(look: Look, flags_file: FlagsOnDisk) -> None:
    flags_file.roll_out("50", enabled=False, stickiness="userId", variants=[payload({})])
    assert eventually(lambda: look().enabled is False)
    assert (look().rollout, look().stickiness) == (50.0, "userId")
    flags_file.roll_out("50", variants=[payload({"threshold": 0.93})])
    assert eventually(lambda: look().thresholds == {"score": 0.93})
    flags_file.write()
    assert eventually(lambda: look().enabled is None)
    assert (look().state, look().rollout, look().stickiness) == ("ready", None, None)
    assert "does not exist" in look().warnings[0]
    flags_file.write_text("nonsense")
    assert eventually(lambda: look().error)
    assert "not JSON" in str(look().error)


def test_a_worker_without_flags_says_so(tmp_path: Path) -> None:
    source = FlagFile(tmp_path / "missing.json")
    provider = UnleashProvider(source, start_timeout=0.5)
    with pytest.raises(Exception, match=r"missing\.json"):
        api.set_provider_and_wait(provider, domain=DOMAIN)
    seen = FlagReader("flag", api.get_client(DOMAIN), [], source)()
    assert (seen.state, seen.enabled, seen.warnings) == ("not_ready", None, ())
    assert "missing.json" in str(seen.error)


def test_a_provider_that_is_not_ours_tells_its_state_only() -> None:
    api.set_provider_and_wait(InMemoryProvider({}), domain=DOMAIN)
    seen = FlagReader("flag", api.get_client(DOMAIN), [], None)()
    assert seen == WorkerFlag("flag", "In-Memory Provider", "ready", shows_flag=False)


@pytest.mark.parametrize(
    ("text", "blotted"),
    [
        ("http://u:p@h/api", "http://h/api"),
        ("no answer at https://u:p%40@h:1/api (500)", "no answer at https://h:1/api (500)"),
        ("http://u:p@ss@h/api", "http://h/api"),
        ("http://h/api?mail=a@b", "http://h/api?mail=a@b"),
        ("plain words", "plain words"),
        ("user:password@host/api", "host/api"),
    ],
)
def test_credentials_in_a_url_are_never_said(text: str, blotted: str) -> None:
    assert without_credentials(text) == blotted


def test_credentials_of_the_flag_server_are_never_said(flags_file: FlagsOnDisk) -> None:
    source = FlagServer("http://someone:secret@127.0.0.1:9/api", "a-token")
    provider = UnleashProvider(source, start_timeout=2)
    with pytest.raises(Exception, match="127"):
        api.set_provider_and_wait(provider, domain=DOMAIN)
    seen = FlagReader("flag", api.get_client(DOMAIN), [], source)()
    assert seen.source == "http://127.0.0.1:9/api"
    assert "secret" not in repr(seen)
    assert "token" not in repr(seen)


def test_a_report_tells_what_became_of_the_pairs(tmp_path: Path, look: Look) -> None:
    folder = tmp_path / "pairs"
    folder.write_text("in the way, so that nothing can be written")
    files = PairFiles(folder, "w", FileLimits(flush_interval=0.01, queue_bytes=20))
    pairs = CountedPairs(InMemoryPairs(), WorkerMetrics("self-report"))
    report = SelfReport(worker="w1", service="s", flag=look, pairs=pairs, files=files)  # type: ignore[arg-type]
    pairs.record(PAIR)
    try:
        assert files.append(b"first pair\n")
        report()
        assert not files.append(b"second pair\n")
        state = report()
        assert (state.pairs.recorded, state.pairs.waiting) == (1, 1)
        assert sum(state.pairs.dropped.values()) == 1
        assert eventually(lambda: report().pairs.lag_seconds > 0)
        folder.unlink()
        assert eventually(lambda: report().pairs.waiting == 0)
        assert report().pairs.lag_seconds == 0
        assert state.started <= state.heartbeat
    finally:
        files.close()


def test_a_report_tells_what_became_of_the_shipping(tmp_path: Path) -> None:
    files = PairFiles(tmp_path, "w", FileLimits(flush_interval=0.01))
    destination = Destination("http://someone:secret@127.0.0.1:9/v1/traces?key=secret")
    shipper = Shipper(tmp_path, "w", destination, ShippingLimits(interval=0.01))
    report = ShippingReport(shipper)
    try:
        files.append(json.dumps(traces(PairFile(tmp_path, "w").span())).encode() + b"\n")
        assert eventually(lambda: (said := report()).lag_seconds > 0 and bool(said.retries))
        said = report()
        assert said.destination == "http://127.0.0.1:9"
        assert said.retries["connection"] >= 1
        assert said.waiting_bytes > 0
        assert (said.shipped, said.rejected) == (0, {})
    finally:
        files.close()
        shipper.close(0.1)
