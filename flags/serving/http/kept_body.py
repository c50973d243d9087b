"""The body of a request as the caller sent it, for a side that reads it by types of its own."""

from typing import Any, Final

from starlette.requests import Request
from starlette.types import Message

from flags.pairing.call import Call
from flags.pairing.images import in_memory
from flags.serving.bentoml_private import ALL_SERDE, ARGS, KWARGS, IODescriptor, IORootModel

BODY: Final = "bentoml_flags.body"
"""Key of the ASGI scope: the parts of the body, for the routes that keep it."""

_JSON: Final = "application/json"


def kept_body(request: Request) -> bytes | None:
    """Return the body; None if it was not kept."""
    parts = request.scope.get(BODY)
    return None if parts is None else b"".join(parts)


def media_type_of(request: Request) -> str:
    """Return the media type by which BentoML reads the body."""
    return request.headers.get("content-type", _JSON).split(";")[0].strip()


async def read_again(request: Request, body: bytes, spec: type[IODescriptor]) -> Call:
    """Return the arguments that BentoML reads from `body` by `spec`; raises what reading raises."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    serde = ALL_SERDE.get(media_type_of(request), ALL_SERDE[_JSON])()
    again = Request(request.scope, receive)
    model: Any = await spec.from_http_request(again, serde)
    if spec.multipart_fields:
        model = in_memory(model)
    await again.close()
    if getattr(spec, "__root_input__", False):
        return Call((model.root if isinstance(model, IORootModel) else model,))
    fields = {name: getattr(model, name) for name in spec.model_fields}
    args = (fields.pop(ARGS),) if ARGS in fields else ()
    return Call(args, fields | fields.pop(KWARGS, {}))
