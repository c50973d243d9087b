"""Write pair files by hand, a line at a time, in the OpenTelemetry file exporter's format."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flags.export import attributes

FLAG = "fraud-detector-v2"
OUTPUT = "fraud_probability"
BEGIN = 1_763_880_000_000_000_000
"""2025-11-23 06:40:00 UTC in nanoseconds; each further pair begins 10 ms later."""


@dataclass(frozen=True)
class Scored:
    """One side that answered: a score per output, and the thresholds that make labels of them."""

    score: float | Mapping[str, float] = 0.1
    threshold: float | None = 0.5
    status: str = "ok"
    duration: float | None = 0.002
    model: str | None = None
    error: str | None = None

    def attributes(self, side: str) -> dict[str, object]:
        """Return the attributes of this side; a side that is not `ok` has no score."""
        values: dict[str, object] = {
            attributes.side(side, attributes.STATUS): self.status,
            attributes.side(side, attributes.DURATION): self.duration,
            attributes.side(side, attributes.MODEL): self.model,
            attributes.side(side, attributes.SIDE_ERROR): self.error,
        }
        scores = self.score if isinstance(self.score, Mapping) else {OUTPUT: self.score}
        for output, score in scores.items() if self.status == "ok" else ():
            values[attributes.side(side, attributes.SCORE, output)] = score
            if self.threshold is not None:
                decision = score >= self.threshold
                values[attributes.side(side, attributes.THRESHOLD, output)] = self.threshold
                values[attributes.side(side, attributes.DECISION, output)] = decision
        return values


def failed(status: str, error: str | None = None) -> Scored:
    """Return a side without an answer."""
    return Scored(status=status, error=error)


class PairFile:
    """Append to the pair file of one worker."""

    def __init__(
        self,
        folder: Path,
        worker: str = "worker-1",
        flag: str = FLAG,
        service: str | None = "FraudDetector",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{worker}.jsonl"
        self.worker = worker
        self.flag = flag
        self.service = service
        self.given = 0

    def start(self) -> None:
        """Write the record of the worker's start."""
        self._record("start")

    def stop(self, pairs: int | None = None, dropped: int = 0) -> None:
        """Write the closing record."""
        total = self.given if pairs is None else pairs
        self._record("stop", {attributes.WORKER_PAIRS: total, attributes.WORKER_DROPPED: dropped})

    def pair(
        self, primary: Scored | None = None, candidate: Scored | None = None, **options: Any
    ) -> None:
        """Write one pair under the next sequence number; the options are those of `span`."""
        self.write(self.span(primary, candidate, **options))

    def span(
        self,
        primary: Scored | None = None,
        candidate: Scored | None = None,
        *,
        active: str = "primary",
        segments: Mapping[str, object] | None = None,
        features: Mapping[str, object] | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """Return the span of a pair; `changes` set attributes by name, None leaves one out."""
        self.given += 1
        values = {
            attributes.FLAG_KEY: self.flag,
            attributes.FLAG_REASON: "SPLIT",
            attributes.REQUEST_ID: f"{self.worker}-request-{self.given}",
            attributes.API: "predict",
            attributes.ACTIVE: active,
            attributes.SERVED: active,
            attributes.FALLBACK: False,
            attributes.ROLLOUT: 10.0,
            attributes.WORKER_ID: self.worker,
            attributes.SEQUENCE: self.given,
            **(primary or Scored()).attributes("primary"),
            **(candidate or Scored()).attributes("candidate"),
            **{f"{attributes.SEGMENT}.{name}": held for name, held in (segments or {}).items()},
            **{f"{attributes.FEATURE}.{name}": held for name, held in (features or {}).items()},
            **(changes or {}),
        }
        return span(attributes.PAIR_SPAN, values, number=self.given, owner=self.worker)

    def write(self, *spans: dict[str, Any]) -> None:
        """Write one line that holds these spans."""
        self.line(json.dumps(traces(*spans, service=self.service)))

    def line(self, text: str, end: str = "\n") -> None:
        """Append a line as it is."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text + end)

    def _record(self, event: str, totals: Mapping[str, object] | None = None) -> None:
        values = {attributes.WORKER_ID: self.worker, attributes.WORKER_EVENT: event}
        self.write(span(attributes.WORKER_SPAN, {**values, **(totals or {})}, owner=self.worker))


def span(
    name: str, values: Mapping[str, object], *, number: int = 0, owner: str = ""
) -> dict[str, Any]:
    """Return a span whose ids follow from its owner and number."""
    identity = int.from_bytes(owner.encode(), "big") * 1_000_003 + number
    begin = BEGIN + number * 10_000_000
    return {
        "traceId": f"{identity % 2**128:032x}",
        "spanId": f"{identity % 2**64:016x}",
        "parentSpanId": "00f067aa0ba902b7",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 2_000_000),
        "attributes": [
            {"key": key, "value": any_value(held)}
            for key, held in values.items()
            if held is not None
        ],
        "status": {},
    }


def traces(
    *spans: dict[str, Any], scope: str = attributes.SCOPE, service: str | None = "FraudDetector"
) -> dict[str, Any]:
    """Return a TracesData object with one resource and one scope."""
    named = [{"key": attributes.SERVICE_NAME, "value": {"stringValue": service}}]
    resource = {"attributes": named if service else []}
    scope_spans = {"scope": {"name": scope, "version": "0.1.0"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [scope_spans]}]}


def any_value(held: object) -> dict[str, object]:
    """Return an OTLP AnyValue: int64 is a string in JSON, and so are NaN and the infinities."""
    match held:
        case bool():
            return {"boolValue": held}
        case int():
            return {"intValue": str(held)}
        case float() if math.isfinite(held):
            return {"doubleValue": held}
        case float():
            name = "NaN" if math.isnan(held) else "Infinity" if held > 0 else "-Infinity"
            return {"doubleValue": name}
        case dict():
            return held
        case _:
            return {"stringValue": str(held)}


def spans_on(line: str | bytes) -> list[dict[str, Any]]:
    """Return the spans of a line that a worker wrote."""
    [resource] = json.loads(line)["resourceSpans"]
    [scope] = resource["scopeSpans"]
    return list(scope["spans"])


def one_by_one(path: Path) -> list[str]:
    """Return the whole lines of a file, each span on a line of its own."""
    text = path.read_bytes()
    found = []
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        held = json.loads(line)
        for each in spans_on(line):
            held["resourceSpans"][0]["scopeSpans"][0]["spans"] = [each]
            found.append(json.dumps(held))
    return found
