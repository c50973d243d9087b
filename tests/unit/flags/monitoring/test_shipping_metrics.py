"""What a worker's shipping does to the series on /metrics."""

import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY, generate_latest

from flags.monitoring import shipping_metrics
from flags.monitoring.metrics import WorkerMetrics
from flags.monitoring.shipping_metrics import ShippingMetrics
from flags.monitoring.worker_state import ShippingCounts
from tests.support.worker_states import worker_state

Value = Callable[..., float | None]

NOTHING = ShippingCounts("http://127.0.0.1:4318")
SOME = replace(
    NOTHING,
    shipped=512,
    rejected={"http_400": 2},
    retries={"connection": 3},
    waiting_bytes=4096,
    lag_seconds=7.5,
)


@pytest.fixture
def flag() -> str:
    """Return a flag whose series no other test touches: they last as long as the process."""
    return f"flag-{uuid.uuid4()}"


@pytest.fixture
def value(flag: str) -> Value:
    def read(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"flag": flag, **labels})

    return read


def series(flag: str) -> set[str]:
    text = generate_latest(REGISTRY).decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if flag in line}


def test_the_account_is_shown_as_it_is(flag: str, value: Value) -> None:
    ShippingMetrics(flag).show(SOME)
    assert value(shipping_metrics.SHIPPED) == 512
    assert value(shipping_metrics.REJECTED, reason="http_400") == 2
    assert value(shipping_metrics.RETRIES, reason="connection") == 3
    assert value(shipping_metrics.UNSHIPPED) == 4096
    assert value(shipping_metrics.LAG) == 7.5


def test_counters_grow_by_what_is_new_and_gauges_follow(flag: str, value: Value) -> None:
    metrics = ShippingMetrics(flag)
    for shipped, waiting in ((512, 4096), (512, 4096), (1024, 0)):
        metrics.show(
            replace(SOME, shipped=shipped, waiting_bytes=waiting, rejected={"partial_success": 1})
        )
    assert value(shipping_metrics.SHIPPED) == 1024
    assert value(shipping_metrics.REJECTED, reason="partial_success") == 1
    assert value(shipping_metrics.RETRIES, reason="connection") == 3
    assert value(shipping_metrics.UNSHIPPED) == 0


def test_reasons_without_a_series_of_their_own_share_one(flag: str, value: Value) -> None:
    metrics = ShippingMetrics(flag)
    metrics.show(replace(NOTHING, retries={"http_418": 1, "http_507": 2}, rejected={"odd": 4}))
    metrics.show(replace(NOTHING, retries={"http_418": 2, "http_507": 2}, rejected={"odd": 5}))
    assert value(shipping_metrics.RETRIES, reason="other") == 4
    assert value(shipping_metrics.REJECTED, reason="other") == 5


def test_every_series_is_there_from_the_start_of_a_worker_that_ships(flag: str) -> None:
    metrics = WorkerMetrics(flag)
    metrics.show(worker_state(shipping=NOTHING))
    before = series(flag)
    every = dict.fromkeys((*shipping_metrics.RETRY_REASONS, "http_418", "odd"), 1)
    metrics.show(worker_state(shipping=replace(SOME, retries=every, rejected=every)))
    assert series(flag) == before
    assert any(shipping_metrics.SHIPPED in each for each in before)


def test_a_worker_that_ships_nothing_has_none_of_these_series(flag: str) -> None:
    WorkerMetrics(flag).show(worker_state())
    names = {name for name in vars(shipping_metrics).values() if str(name).startswith("bento")}
    assert len(names) == 5
    assert not any(name in each for name in names for each in series(flag))


def test_names_follow_the_conventions_of_prometheus() -> None:
    for family in (
        getattr(shipping_metrics.shipping_families(), name)
        for name in shipping_metrics.ShippingFamilies.__slots__
    ):
        described = family.describe()[0]
        assert described.name.startswith("bentoml_flags_")
        if described.type == "gauge":
            assert described.name.endswith(("_bytes", "_seconds"))


def test_protobuf_and_requests_are_loaded_by_workers_that_ship_alone() -> None:
    program = (
        "import sys, flags.serving.worker; "
        "print([name for name in ('flags.monitoring.shipping_metrics', 'flags.export.receiver') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
