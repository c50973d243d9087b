"""Metrics of shipping on BentoML's /metrics: pairs accepted, rejected and waiting."""

import functools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flags.export.receiver import PARTIAL, TIMED_OUT
from flags.export.shipment import UNREADABLE
from flags.monitoring.worker_state import ShippingCounts

if TYPE_CHECKING:
    import prometheus_client as prometheus

SHIPPED: Final = "bentoml_flags_shipped_spans_total"
REJECTED: Final = "bentoml_flags_rejected_spans_total"
RETRIES: Final = "bentoml_flags_shipping_retries_total"
UNSHIPPED: Final = "bentoml_flags_unshipped_bytes"
LAG: Final = "bentoml_flags_shipping_lag_seconds"

OTHER: Final = "other"
"""Label value for everything that has no series of its own."""

_REFUSALS: Final = ("http_400", "http_413", "http_422", "http_500", PARTIAL)
REJECT_REASONS: Final = (UNREADABLE, *_REFUSALS, OTHER)
RETRY_REASONS: Final = (
    *("connection", TIMED_OUT, "tls", "error", "not_otlp"),
    *_REFUSALS,
    *("http_401", "http_403", "http_404", "http_429", "http_502", "http_503", "http_504"),
    OTHER,
)


class ShippingMetrics:
    """The series of one flag's shipping in this worker process, all created with 0."""

    def __init__(self, flag: str) -> None:
        families = shipping_families()
        self._shipped = families.shipped.labels(flag)
        self._rejected = {r: families.rejected.labels(flag, r) for r in REJECT_REASONS}
        self._retries = {r: families.retries.labels(flag, r) for r in RETRY_REASONS}
        self._unshipped = families.unshipped.labels(flag)
        self._lag = families.lag.labels(flag)
        self._counted: Counter[prometheus.Counter] = Counter()

    def show(self, counts: ShippingCounts) -> None:
        """Set the gauges to `counts`; increase the counters by the difference to the last call."""
        now: Counter[prometheus.Counter] = Counter({self._shipped: counts.shipped})
        for reason, number in counts.rejected.items():
            now[self._rejected.get(reason, self._rejected[OTHER])] += number
        for reason, number in counts.retries.items():
            now[self._retries.get(reason, self._retries[OTHER])] += number
        for series, number in (now - self._counted).items():
            series.inc(number)
        self._counted = now
        self._unshipped.set(counts.waiting_bytes)
        self._lag.set(counts.lag_seconds)


@dataclass(frozen=True, slots=True)
class ShippingFamilies:
    """All metrics of shipping, without label values."""

    shipped: "prometheus.Counter"
    rejected: "prometheus.Counter"
    retries: "prometheus.Counter"
    unshipped: "prometheus.Gauge"
    lag: "prometheus.Gauge"


@functools.cache
def shipping_families() -> ShippingFamilies:
    """Register the metrics, once in a process, and only in one that ships."""
    import prometheus_client as prometheus

    return ShippingFamilies(
        shipped=prometheus.Counter(
            SHIPPED, "Spans, of pairs and of workers, that the receiver took.", ["flag"]
        ),
        rejected=prometheus.Counter(
            REJECTED,
            "Spans that the receiver would not take, by reason; they stay in their files.",
            ["flag", "reason"],
        ),
        retries=prometheus.Counter(
            RETRIES,
            "Requests to the receiver that have to be repeated, by reason.",
            ["flag", "reason"],
        ),
        unshipped=prometheus.Gauge(
            UNSHIPPED,
            "Bytes of the pair files that the receiver has not taken yet.",
            ["flag"],
            multiprocess_mode="livesum",
        ),
        lag=prometheus.Gauge(
            LAG,
            "Age of the oldest pair that is being sent in vain, 0 if none is; the worst worker's.",
            ["flag"],
            multiprocess_mode="livemax",
        ),
    )
