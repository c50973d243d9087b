"""One accepted request, and what is known of it before any model has run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import context as otel_context

from flags.pairing.assignment import Assignment
from flags.pairing.call import Call
from flags.pairing.input_copy import isolated
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
    """An exception where the input could not be copied for the candidate."""
    api: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the flag may be sticky on or constrained by: userId, sessionId, ..."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Where its unit may be read from."""
    inputs: Any = None
    """What segments and features are read from."""
    on_assigned: Callable[[Assignment], None] | None = None
    """Called before a side is."""
    on_recorded: Callable[[], None] | None = None
    """Called once nothing more is done with the request."""
    answer_sent: AnswerSent | None = None
    """When its answer has left; None where nobody tells."""

    @classmethod
    def of(cls, request_id: str, /, *args: Any, **kwargs: Any) -> "Request":
        """Build a request in which each side has its own copy of the arguments."""
        return cls(
            request_id,
            primary=Call(args, kwargs),
            candidate=isolated(Call(args, kwargs)),
            inputs=args[0] if args else kwargs,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a request before any model has run."""

    started: int
    parent: otel_context.Context
    segments: Mapping[str, str]
    features: Mapping[str, float]
    unit: str | None
    """The value itself, until its hash is recorded."""
    prompt: Messages | None
    """As it came, until what may be kept of it is recorded."""

    @classmethod
    def of(cls, request: Request, reading: Reading, units: Units | None) -> "Seen":
        """Look at `request`, which arrives now."""
        return cls(
            time.time_ns(),
            otel_context.get_current(),
            reading.segments(request.inputs),
            reading.features(request.inputs),
            None if units is None else units.given(request.headers, request.inputs),
            read_prompt(reading.texts, request.inputs),
        )
