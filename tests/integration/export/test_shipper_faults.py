"""No fault of an OTLP receiver costs a pair: real receiver, faults by a proxy before it."""

import json
import shutil
import ssl
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest

from flags.export.pair_files import FileLimits
from flags.export.shipped_file import POSITION_SUFFIX, ShippingLimits
from tests.support.fakes import eventually
from tests.support.otlp_proxy import POISON, Fault, OtlpProxy, bomb
from tests.support.otlp_server import OtlpReceiver
from tests.support.pair_files import PairFile
from tests.support.shipping_worker import (
    FRAME,
    Load,
    Worker,
    assert_all_arrive,
    ids,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the pair files."""
    return tmp_path / "pairs"


def test_a_receiver_that_is_down_at_the_start_gets_everything_once_it_is_up(
    stopped_receiver: OtlpReceiver, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Worker(folder, stopped_receiver.url) as worker:
        worker.write(120)
        assert eventually(lambda: worker.account.retries["connection"] >= 3)
        assert worker.backlog().waiting_bytes > 0
        assert worker.backlog().lag_seconds > 0
        with stopped_receiver:
            assert_all_arrive(stopped_receiver, worker)
            assert eventually(lambda: worker.backlog().waiting_bytes == 0)
    assert worker.backlog().lag_seconds == 0
    assert worker.account.rejected == {}
    assert caplog.text.count("pairs are not shipped to http://127.0.0.1") == 1
    assert "Connection refused" in caplog.text
    assert caplog.text.count("again") == 1


def test_a_receiver_that_goes_down_under_load_and_comes_back_misses_nothing(
    stopped_receiver: OtlpReceiver, folder: Path
) -> None:
    with Worker(folder, stopped_receiver.url) as worker, Load(worker):
        for _ in range(2):
            with stopped_receiver:
                time.sleep(0.5)
            time.sleep(0.5)
    with (
        stopped_receiver,
        Worker(folder, stopped_receiver.url),
    ):  # what is left is for the next worker
        assert_all_arrive(stopped_receiver, worker)
    assert len(list(folder.glob("*.jsonl"))) > 1  # shipping went on over a change of files


def test_many_files_that_wait_take_few_handles_and_all_arrive_in_the_end(
    stopped_receiver: OtlpReceiver, folder: Path
) -> None:
    records = FileLimits(flush_interval=0.01, rotate_bytes=2000)
    with Worker(folder, stopped_receiver.url, records=records) as worker:
        for _ in range(40):
            worker.write(2)
            assert eventually(lambda: worker.files.waiting == 0)
        written = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
        assert eventually(lambda: worker.backlog().waiting_bytes == written)
        assert len(list(folder.glob("*.jsonl"))) > 30
        assert len(list(folder.glob(f"*{POSITION_SUFFIX}"))) <= 16
        with stopped_receiver:
            assert_all_arrive(stopped_receiver, worker)
            assert eventually(lambda: worker.backlog().waiting_bytes == 0)
    assert worker.account.shipped == 80


REASONS = {
    Fault.UNAVAILABLE: "http_503",
    Fault.TOO_MANY: "http_429",
    Fault.UNAUTHORISED: "http_401",
    Fault.MOVED: "http_301",
    Fault.FAILS: "http_500",
    Fault.WEB_PAGE: "not_otlp",
    Fault.RESET: "connection",
    Fault.ANSWER_LOST: "connection",
    Fault.SILENT: "timeout",
    Fault.DRIP: "timeout",
}


@pytest.mark.parametrize("fault", REASONS)
def test_under_load_a_fault_of_the_receiver_costs_time_and_no_pair(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path, fault: Fault
) -> None:
    with Worker(folder, proxy.url, timeout=0.3) as worker:
        with Load(worker):
            assert eventually(lambda: worker.account.shipped > 0)
            proxy.fault = fault
            assert eventually(lambda: worker.account.retries[REASONS[fault]] >= 1)
            proxy.fault = Fault.NONE
        spans = assert_all_arrive(receiver, worker)
        assert eventually(lambda: worker.account.shipped == len(worker.written))
    assert worker.account.rejected == {}
    assert worker.account.retries[REASONS[fault]] >= 1
    if fault is Fault.ANSWER_LOST:  # doubles, which readers drop by their span id
        assert len(spans) > len(ids(spans))
    if fault is Fault.TOO_MANY:
        assert proxy.asked[fault] == 1  # it has asked us to wait for two seconds


def test_what_a_receiver_left_out_is_counted_and_not_sent_again(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the protocol says: a request that was taken in part must not be repeated."""
    proxy.fault = Fault.PARTIAL
    with Worker(folder, proxy.url) as worker:
        worker.write(120)
        assert eventually(lambda: not worker.backlog().waiting_bytes and worker.files.written)
        sent = proxy.asked[Fault.PARTIAL]
    assert len(proxy.sizes) == sent
    spans = receiver.spans()
    assert len(spans) == len(ids(spans)) == 120 - sent
    assert worker.account.rejected == {"partial_success": sent}
    assert worker.account.shipped == 120 - sent
    assert worker.account.retries == {}
    assert "the first span was left out" in caplog.text
    assert ".jsonl at byte 0 to " in caplog.text


@pytest.mark.parametrize("fault", [Fault.ABSURD, Fault.NEGATIVE])
def test_a_number_of_spans_left_out_that_cannot_be_is_ignored_and_said(
    receiver: OtlpReceiver,
    proxy: OtlpProxy,
    folder: Path,
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy.fault = fault
    with Worker(folder, proxy.url) as worker:
        worker.write(120)
        assert_all_arrive(receiver, worker)
        assert eventually(lambda: worker.account.shipped == 120)
    assert worker.account.rejected == {}
    assert caplog.text.count("which is ignored") == 1


def test_an_answer_is_read_to_a_limit_whatever_its_encoding(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    assert len(bomb()) < 2**20
    proxy.fault = Fault.BOMB
    tracemalloc.start()
    try:
        with Worker(folder, proxy.url) as worker:
            worker.write(10)
            assert eventually(lambda: worker.account.retries["http_503"] >= 2)
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_receiver_that_confirms_nothing_is_shown_by_a_lag_however_it_holds_the_shipper_up(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    proxy.fault = Fault.DRIP
    with Worker(folder, proxy.url, timeout=30) as worker:
        worker.write(10)
        assert eventually(lambda: proxy.asked[Fault.DRIP] == 1)  # and it answers for ever
        assert eventually(lambda: worker.backlog().lag_seconds > 1)
        assert worker.backlog().waiting_bytes == sum(
            path.stat().st_size for path in folder.glob("*.jsonl")
        )
        assert worker.account.shipped == 0
        proxy.fault = Fault.NONE
        worker.close(0.1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.BAD_REQUEST, "http_400"), (Fault.FAILS_ON_POISON, "http_500")],
)
def test_a_line_that_the_receiver_will_not_take_is_set_aside_and_no_other(
    receiver: OtlpReceiver,
    proxy: OtlpProxy,
    folder: Path,
    fault: Fault,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy.fault = fault
    limits = ShippingLimits(batch_pairs=50, interval=0.02, longest_wait=0.02)
    with Worker(folder, proxy.url, limits=limits) as worker:
        for _ in range(2):
            worker.write(1, POISON)
            worker.write(70)
        worker.write(2, POISON)
        worker.write(10)
        poison = {worker.written[each] for each in (0, 71, 142, 143)}
        assert eventually(lambda: worker.account.shipped == 150)
    assert ids(receiver.spans()) == set(worker.written) - poison
    assert worker.account.rejected == {reason: 4}
    assert caplog.text.count("are not shipped (") == 1  # once, not for each line
    assert "poison is not taken" in caplog.text
    kept = "".join(path.read_text() for path in folder.glob("*.jsonl"))
    assert all(each in kept for each in poison)


def test_a_span_is_set_aside_if_only_others_of_its_line_are_taken(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    proxy.fault = Fault.FAILS_ON_POISON
    ended = PairFile(folder, "pairs-of-a-worker-that-ended")
    poison, *spans = (ended.span() for _ in range(6))
    line = FRAME.line([json.dumps(each).encode() for each in (poison | {"name": POISON}, *spans)])
    ended.path.write_bytes(line)
    limits = ShippingLimits(interval=0.02, longest_wait=0.02)
    with Worker(folder, proxy.url, limits=limits) as worker:
        assert eventually(lambda: worker.account.shipped == 5)
        assert worker.account.rejected == {"http_500": 1}
    assert ids(receiver.spans()) == ids(spans)


def test_a_receiver_that_refuses_everything_is_waited_for(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    """As a gateway that answers 400 to whatever has the wrong scheme: no line is to blame."""
    proxy.fault = Fault.BAD_REQUEST
    limits = ShippingLimits(batch_pairs=50, interval=0.02, longest_wait=0.05)
    with Worker(folder, proxy.url, limits=limits) as worker:
        worker.write(100, POISON)
        assert eventually(lambda: proxy.asked[Fault.BAD_REQUEST] > 30)
        assert worker.account.shipped == 0
        proxy.fault = Fault.NONE
        assert_all_arrive(receiver, worker)
    assert worker.account.rejected == {}


def test_a_receiver_that_takes_small_requests_only_gets_small_ones(
    receiver: OtlpReceiver, proxy: OtlpProxy, folder: Path
) -> None:
    proxy.fault = Fault.TOO_LARGE
    with Worker(folder, proxy.url) as worker:
        worker.write(200)
        spans = assert_all_arrive(receiver, worker)
    assert len(spans) == 200
    assert worker.account.rejected == {}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate for 127.0.0.1 and one for a client, each with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client"):
        command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def test_over_tls_both_sides_show_a_certificate(
    receiver: OtlpReceiver, folder: Path, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "client.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    trusted = {"certificate": str(certificates / "server.pem")}
    shown = {
        "client_certificate": str(certificates / "client.pem"),
        "client_key": str(certificates / "client.key"),
    }
    with OtlpProxy(receiver.url, tls=context) as proxy:
        for options, reason in (({}, "tls"), (trusted, None), (shown, "tls")):
            with Worker(folder, proxy.url, **options) as refused:
                refused.write(10)
                assert eventually(lambda: refused.account.retries)
            if reason:
                assert reason in refused.account.retries
            assert refused.account.shipped == 0
        assert "certificate verify failed" in caplog.text
        with Worker(folder, proxy.url, **trusted, **shown) as worker:
            assert eventually(lambda: worker.account.shipped == 30)
    assert len(receiver.spans()) == 30


def test_a_certificate_that_is_not_there_is_said_and_waited_for(
    receiver: OtlpReceiver, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Worker(folder, "https://127.0.0.1:9", certificate="/nowhere/ca.pem") as worker:
        worker.write(1)
        assert eventually(lambda: worker.account.retries["error"] >= 1)
    assert "/nowhere/ca.pem" in caplog.text
