"""A sink that writes each pair as one OpenTelemetry span to the pair files."""

import itertools
import logging
import socket
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from os import getpid
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from flags.export import attributes as names
from flags.export.otlp_json import LineEncoder
from flags.export.pair_files import FileLimits, PairFiles, file_name
from flags.export.version import VERSION
from flags.pairing.assignment import Side
from flags.pairing.observation import Observation, Pair, Status

logger = logging.getLogger(__name__)

_UNLIMITED: Final = SpanLimits(
    max_attributes=SpanLimits.UNSET,
    max_events=SpanLimits.UNSET,
    max_links=SpanLimits.UNSET,
    max_span_attributes=SpanLimits.UNSET,
    max_span_attribute_length=SpanLimits.UNSET,
    max_attribute_length=SpanLimits.UNSET,
)
"""Explicit, because OTEL_* limits meant for request spans would cut the attributes of a pair."""

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


@dataclass(frozen=True, slots=True)
class TrackedOutcome:
    """An outcome of a request, of a unit (as a keyed hash), or of both."""

    metric: str
    value: float
    request_id: str | None
    unit: str | None
    occurred: int
    """Unix nanoseconds."""


class _AppendToFiles(SpanProcessor):
    """A processor that appends each ended span to the pair files at once.

    OpenTelemetry's batch processor would keep spans in memory, where a crash loses them.
    """

    def __init__(self, encoder: LineEncoder, files: PairFiles) -> None:
        self._encoder = encoder
        self._files = files
        self._begun = False

    def on_end(self, span: ReadableSpan) -> None:
        """Encode and queue `span`; the first one is the worker's start record."""
        encoded = self._encoder.span(span)
        if self._begun:
            self._files.append(encoded)
        else:
            self._begun = True
            self._files.begin(encoded, self._encoder.frame)


class PairSpans:
    """A pair sink that writes spans by a tracer of its own, which samples every span.

    So it does not depend on the sampler of the application's tracer. The parent is the request's
    span. The pair's span is never made current: its sampled flag would be sent with every call that
    the request still makes.
    """

    def __init__(self, files: PairFiles, *, service: str, version: str | None, worker: str) -> None:
        self.worker = worker
        self._files = files
        resource = Resource.create(
            {
                names.SERVICE_NAME: service,
                names.SERVICE_VERSION: version or "not available",
                names.SERVICE_INSTANCE_ID: worker,
                names.PROCESS_PID: getpid(),
                names.HOST_NAME: socket.gethostname(),
            }
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource,
            span_limits=_UNLIMITED,
            shutdown_on_exit=False,
        )
        self._encoder = LineEncoder(resource, names.SCOPE, VERSION)
        self._append = _AppendToFiles(self._encoder, files)
        provider.add_span_processor(self._append)
        self._tracer = provider.get_tracer(names.SCOPE, VERSION)
        self._resource = resource
        self._ids = provider.id_generator
        self._sequence = itertools.count(1)
        self._last = 0
        self._outcomes = 0
        self._outcome_lock = threading.Lock()
        self._closed = False
        self._event("start")
        self._is_on = isinstance(self._tracer.start_span("probe"), Span)
        if not self._is_on:
            logger.warning("OTEL_SDK_DISABLED is set: no pair is recorded")

    @classmethod
    def to_folder(
        cls, folder: Any, limits: FileLimits, *, service: str, version: str | None
    ) -> "PairSpans":
        """Return a sink that writes to files in `folder`, with a new worker id."""
        worker = str(uuid.uuid4())
        files = PairFiles(folder, file_name(service, worker), limits)
        return cls(files, service=service, version=version, worker=worker)

    def record(self, pair: Pair) -> None:
        """Assign the pair its sequence number and write its span."""
        self._last = next(self._sequence)
        if not self._is_on:
            return
        caller = trace.get_current_span(pair.parent).get_span_context()
        # Built as the tracer would build it. The tracer also checks the type of each attribute,
        # which ours do not need and which takes as long as all the rest.
        span = ReadableSpan(
            names.PAIR_SPAN,
            context=SpanContext(
                caller.trace_id if caller.is_valid else self._ids.generate_trace_id(),
                self._ids.generate_span_id(),
                is_remote=False,
                trace_flags=_SAMPLED,
                trace_state=caller.trace_state if caller.is_valid else None,
            ),
            parent=caller if caller.is_valid else None,
            resource=self._resource,
            attributes=pair_attributes(pair, self.worker, self._last),
            kind=SpanKind.INTERNAL,
            start_time=pair.started,
            end_time=pair.ended,
        )
        self._append.on_end(span)

    def record_outcome(self, outcome: TrackedOutcome) -> None:
        """Write the span of an outcome, with duration 0; from any thread."""
        with self._outcome_lock:
            self._outcomes += 1
            number = self._outcomes
        values: dict[str, str | int | float | None] = {
            names.OUTCOME_METRIC: outcome.metric,
            names.OUTCOME_VALUE: outcome.value,
            names.REQUEST_ID: outcome.request_id,
            names.UNIT: outcome.unit,
            names.WORKER_ID: self.worker,
            names.OUTCOME_SEQUENCE: number,
        }
        span = self._tracer.start_span(
            names.OUTCOME_SPAN,
            context=Context(),  # no parent: the request has long ended
            attributes={name: value for name, value in values.items() if value is not None},
            start_time=outcome.occurred,
        )
        span.end(outcome.occurred)

    def close(self, within: float = 5.0) -> None:
        """Write the stop record with the totals and all queued spans; log how many were lost.

        Further calls do nothing.
        """
        if self._closed:
            return
        self._closed = True
        self._event(
            "stop",
            {
                names.WORKER_PAIRS: self._last,
                names.WORKER_DROPPED: sum(self._files.dropped.values()),
                **({names.WORKER_OUTCOMES: self._outcomes} if self._outcomes else {}),
            },
        )
        self._files.close(within=within)
        dropped = self._files.dropped
        if lost := sum(dropped.values()):
            reasons = ", ".join(f"{reason}: {n}" for reason, n in sorted(dropped.items()))
            logger.error(
                "worker %s made %d pairs, %d records are not on disk (%s)",
                self.worker,
                self._last,
                lost,
                reasons,
            )
        else:
            logger.info("worker %s made %d pairs, all are on disk", self.worker, self._last)

    def _event(self, event: str, totals: Mapping[str, int] | None = None) -> None:
        attributes: dict[str, str | int] = {
            names.WORKER_ID: self.worker,
            names.WORKER_EVENT: event,
            **(totals or {}),
        }
        self._tracer.start_span(names.WORKER_SPAN, attributes=attributes).end()


def pair_attributes(pair: Pair, worker: str, sequence: int) -> dict[str, str | bool | int | float]:
    """Return the attributes of a pair's span; numbers are Python's, never numpy's."""
    assignment = pair.assignment
    values: dict[str, str | bool | int | float | None] = {
        names.FLAG_KEY: assignment.flag,
        names.FLAG_REASON: assignment.reason,
        names.FLAG_VARIANT: assignment.variant,
        names.FLAG_PROVIDER: assignment.provider or None,
        names.FLAG_CONTEXT_ID: pair.request_id,
        names.ERROR_TYPE: assignment.error,
        names.FLAG_ERROR_MESSAGE: assignment.error_message,
        names.REQUEST_ID: pair.request_id,
        names.API: pair.api,
        names.ACTIVE: assignment.active.value,
        names.SERVED: pair.served.value if pair.served else None,
        names.FALLBACK: pair.fallback,
        names.ROLLOUT: assignment.rollout,
        names.STICKINESS: assignment.stickiness,
        names.UNIT: pair.unit,
        names.DRAWN: pair.drawn,
        names.INPUT_MESSAGES: pair.prompt,
        names.WORKER_ID: worker,
        names.SEQUENCE: sequence,
    }
    for side in Side:
        _observe(values, side, pair.observation(side))
    for seen in (pair.primary, pair.candidate):
        values[names.SHADOW_SHARE] = seen.sampled or values.get(names.SHADOW_SHARE)
        if seen.status is Status.SKIPPED:
            values[names.SHADOW_SKIPPED] = "flag" if seen.sampled is None else "budget"
        if (batched := seen.batched) is not None:
            values[names.SHADOW_BATCH] = batched.size
            values[names.SHADOW_AGREES] = batched.agrees
            values[names.SHADOW_BATCH_ERROR] = batched.error
    for name, segment in pair.segments.items():
        values[f"{names.SEGMENT}.{name}"] = segment
    for name, feature in pair.features.items():
        values[f"{names.FEATURE}.{name}"] = float(feature)
    return {name: value for name, value in values.items() if value is not None}


def _observe(
    values: dict[str, str | bool | int | float | None], side: Side, seen: Observation
) -> None:
    values[names.side(side, names.STATUS)] = seen.status.value
    values[names.side(side, names.DURATION)] = seen.duration
    values[names.side(side, names.MODEL)] = seen.model
    values[names.side(side, names.SIDE_ERROR)] = seen.error
    if (content := seen.content) is not None:
        values[names.side(side, names.ITEMS)] = content.items
        values[names.side(side, names.LENGTH)] = content.length
        values[names.side(side, names.FIRST_ITEM)] = content.first_item
        values[names.side(side, names.DIGEST)] = content.digest
    for output, score in seen.scores.items():
        values[names.side(side, names.SCORE, output)] = float(score)
    for output, threshold in seen.thresholds.items():
        values[names.side(side, names.THRESHOLD, output)] = float(threshold)
    for output, decision in seen.decisions.items():
        values[names.side(side, names.DECISION, output)] = bool(decision)
    for output, columns in seen.values.items():
        for column, value in columns.items():
            values[names.side(side, column, output)] = value
