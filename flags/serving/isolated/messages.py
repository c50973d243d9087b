"""The messages between a worker and the candidate's process."""

from typing import Any, Final, NamedTuple

from flags.pairing.images import PicklableImage
from flags.serving.bentoml_private import APIMethod
from flags.serving.isolated.portable_errors import UnportableError
from flags.serving.isolated.transfer import CallTrace, ContextResponse, plain_scope
from flags.serving.sides.context import SideContext
from flags.serving.sides.value_pickle import ModelState

LOADED: Final = 0
"""Number of the first message from the process: None, or the error of loading its service. From the
worker, number of messages without an answer."""

READINESS: Final = "ready?"
"""A message that asks the service whether it is ready."""

CANCEL: Final = "cancel"
"""A message that cancels the call of its number."""


class CallMessage(NamedTuple):
    """One call."""

    api: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    context: tuple[str, dict[str, Any]] | None
    """The API's parameter for the context, and the scope of the caller's request."""
    trace: CallTrace

    @classmethod
    def of(
        cls,
        api: APIMethod[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: SideContext | None,
    ) -> "CallMessage":
        """Return the message of a call, with the current trace."""
        return cls(
            api.name,
            tuple(PicklableImage.of(ModelState.of_whole_body(value)) for value in args),
            {name: PicklableImage.of(value) for name, value in kwargs.items()},
            None if context is None else (api.ctx_param or "", plain_scope(context.request)),
            CallTrace.current(),
        )


class BatchMessage(NamedTuple):
    """One call of a method that takes many inputs."""

    api: str
    """The API of the inputs."""
    method: str
    joined: Any
    """The list of inputs, or the joined inputs."""
    is_async: bool
    trace: CallTrace


class NextItemMessage(NamedTuple):
    """A request for the next item of a stream."""

    api: str
    stream: int
    call: CallMessage | None
    """The call that the stream answers; only in the request for the first item."""


class CloseMessage(NamedTuple):
    """A request to close a stream, without an answer."""

    api: str
    stream: int


class ServedMessage(NamedTuple):
    """A notice that an answer was served, so that its background tasks run; without an answer."""

    api: str
    key: int
    """Number of the call; for a stream, the negative of the stream's number."""


class ResultMessage(NamedTuple):
    """The result of a call."""

    value: Any
    error: BaseException | UnportableError | None
    duration: float | None
    response: ContextResponse | None = None
    has_tasks: bool = False
    """Whether background tasks wait until the answer is served."""
    processor: float | None = None
    """Processor seconds."""
