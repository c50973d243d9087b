"""The messages between a worker and the candidate's process, as they travel through the pipe."""

from typing import Any, Final, NamedTuple

from flags.serving.bentoml_private import APIMethod
from flags.serving.isolated.portable_errors import UnportableError
from flags.serving.isolated.transfer import CarriedResponse, InputState, Traced, carried_scope
from flags.serving.sides.context import SideContext

LOADED: Final = 0
"""Number of the first message from the process: None, or why its service could not be loaded."""

READINESS: Final = "ready?"
"""Asks the service whether it is ready."""

CANCEL: Final = "cancel"
"""Cancels the call whose number it carries."""


class CallMessage(NamedTuple):
    """One call, as it travels."""

    api: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: tuple[str, dict[str, Any]] | None
    """The API's parameter for the context, and the scope of the caller's request."""
    traced: Traced

    @classmethod
    def of(
        cls,
        api: APIMethod[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: SideContext | None,
    ) -> "CallMessage":
        """Return the message of a call that is made now, in the trace of its request."""
        return cls(
            api.name,
            tuple(InputState.of(value) for value in args),
            kwargs,
            None if context is None else (api.ctx_param or "", carried_scope(context.request)),
            Traced.current(),
        )


class BatchMessage(NamedTuple):
    """One call of a method that takes many inputs, as it travels."""

    api: str
    """Whose inputs they are."""
    method: str
    joined: Any
    """The list of inputs, or what they are joined to."""
    is_async: bool
    traced: Traced


class NextItemMessage(NamedTuple):
    """A request for the next item of a stream, as it travels."""

    api: str
    stream: int
    asked: CallMessage | None
    """The call that the stream answers, with its first item."""


class CloseMessage(NamedTuple):
    """A request to close a stream, as it travels; it has no answer."""

    api: str
    stream: int


class ServedMessage(NamedTuple):
    """Says that an answer was served, so that its background tasks run; it has no answer."""

    api: str
    key: int
    """Number of the call; of a stream, its own number below zero."""


class ResultMessage(NamedTuple):
    """The result of a call, as it travels."""

    value: Any
    error: BaseException | UnportableError | None
    duration: float | None
    response: CarriedResponse | None = None
    has_tasks: bool = False
    """Whether background tasks wait for the answer to be served."""
    processor: float | None = None
    """Seconds of the processor."""
