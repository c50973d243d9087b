"""One accepted request, and the values read from it before any model runs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context

from flags.pairing.assignment import Assignment
from flags.pairing.call import Call
from flags.pairing.input_copy import copy_call
from flags.pairing.kinds.text_recorder import Messages, read_prompt
from flags.pairing.reading import Reading
from flags.pairing.shadow_schedule import AnswerSent
from flags.pairing.unit import Units


@dataclass(frozen=True, slots=True)
class Request:
    """One accepted request: its id, and the arguments for each side."""

    request_id: str
    primary: Call
    candidate: Call | Exception
    """An exception if the input could not be copied for the candidate."""
    api: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Context fields of the flag's stickiness and constraints: userId, sessionId, ..."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """HTTP headers, from which the unit may be read."""
    inputs: Any = None
    """The input, from which segments and features are read."""
    on_assigned: Callable[[Assignment], None] | None = None
    """Called before either side is called."""
    on_recorded: Callable[[], None] | None = None
    """Called when the pair is recorded and the request needs nothing more."""
    answer_sent: AnswerSent | None = None
    """The event that the answer was sent; None if there is no such event."""

    @classmethod
    def of(cls, request_id: str, /, *args: Any, **kwargs: Any) -> "Request":
        """Build a request in which each side has its own copy of the arguments."""
        return cls(
            request_id,
            primary=Call(args, kwargs),
            candidate=copy_call(Call(args, kwargs)),
            inputs=args[0] if args else kwargs,
        )


@dataclass(frozen=True, slots=True)
class RequestSnapshot:
    """Values of a request that are read before any model runs, because a model may change them."""

    started: int
    """Unix time in nanoseconds."""
    parent: otel_context.Context
    """OpenTelemetry context, the parent of the pair's span."""
    segments: Mapping[str, str]
    features: Mapping[str, float]
    unit: str | None
    """The unit's value; only its hash is recorded."""
    prompt: Messages | None
    """The prompt before redaction."""

    @classmethod
    def of(cls, request: Request, reading: Reading, units: Units | None) -> "RequestSnapshot":
        """Read `request`, which starts now."""
        return cls(
            time.time_ns(),
            otel_context.get_current(),
            reading.segments(request.inputs),
            reading.features(request.inputs),
            None if units is None else units.read_value(request.headers, request.inputs),
            read_prompt(reading.texts, request.inputs),
        )
