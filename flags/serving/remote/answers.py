"""The answers of a server that is the candidate: values by the primary's schema, and headers."""

import codecs
import json
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from starlette.responses import Response

from flags.errors import AnswerUnreadableError, SideDownError
from flags.serving.bentoml_private import IODescriptor, IORootModel, JSONSerde, Payload
from flags.serving.sides.context import SideContext
from flags.serving.sides.http_answers import chunks, error_of, said_error
from flags.serving.sides.runner_wire import kept_headers, with_headers

MODEL_HEADER: Final = "X-Model-Tag"
"""Header by which a server may say which model has answered."""

_BENTOML: Final = "X-BentoML-Request-ID"
"""What every answer of a BentoML API has, also behind a proxy."""

_GONE: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)

_NOT_THE_CALLERS: Final = frozenset(
    {
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"vary",
        b"via",
        b"x-model-side",
        b"x-model-tag",
        b"x-request-id",
    }
)
"""Headers of the answer to the call that say nothing of the caller's."""

_CORS: Final = b"access-control-"


def failure(response: aiohttp.ClientResponse, body: bytes) -> Exception | None:
    """Return the error that a response stands for, with its words; None for an answer.

    A status from 400 on that no API of BentoML has sent is a proxy's, not the model's.
    """
    if response.ok:
        return None
    if (error := error_of(response, body)) is not None:
        return error
    words = f"{response.status}: {body[:200].decode(errors='replace')}"
    if response.status in _GONE and _BENTOML not in response.headers:
        return SideDownError(f"a proxy before the candidate answered {words}")
    return None if _BENTOML in response.headers else said_error(response.status, words)


def is_own_response(spec: type[IODescriptor], response: aiohttp.ClientResponse) -> bool:
    """Say whether the model returned a response of its own making, and not a value of `spec`."""
    if _BENTOML not in response.headers:
        return False
    ours = spec.mime_type().split(";")[0].strip()
    return response.status >= HTTPStatus.MULTIPLE_CHOICES or response.content_type != ours


def value_of(spec: type[IODescriptor], body: bytes) -> Any:
    """Return the value that was sent as `body`; raises ValueError where it is none of `spec`."""
    schema = spec.model_json_schema() if issubclass(spec, IORootModel) else {}
    if schema.get("type") == "string":
        return body if schema.get("format") == "binary" else body.decode()
    if not body:
        raise AnswerUnreadableError("the candidate's answer is empty")
    model = JSONSerde().deserialize_model(Payload((body,)), spec)
    return model.root if isinstance(model, IORootModel) else model


def sent_on(response: aiohttp.ClientResponse, body: bytes) -> Response:
    """Return the response as it came."""
    left_out = _NOT_THE_CALLERS - {b"content-type", b"vary"}
    return with_headers(
        Response(body, response.status),
        [
            *((name, value) for name, value in _raw(response) if name not in left_out),
            (b"content-length", str(len(body)).encode()),
        ],
    )


def tell(context: SideContext, response: aiohttp.ClientResponse) -> None:
    """Set on the context what the model may have set on its own: status, headers, cookies."""
    context.response.status_code = response.status
    for name, value in _raw(response):
        if name == b"set-cookie":
            context.raw_cookies.append(value)
        elif name not in _NOT_THE_CALLERS:
            context.response.metadata[name.decode("latin-1")] = value.decode("latin-1")


def _raw(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    kept = kept_headers(response.raw_headers)
    return [(name, value) for name, value in kept if not name.startswith(_CORS)]


async def items_of(
    spec: type[IODescriptor], response: aiohttp.ClientResponse
) -> AsyncGenerator[Any, None]:
    """Yield the items of a stream.

    BentoML sends each as an HTTP chunk. Texts and bytes are taken as they come; JSON is put
    together again where a proxy has cut it in two, and taken apart where it has joined it.

    Raises AnswerUnreadableError.
    """
    schema = spec.model_json_schema() if issubclass(spec, IORootModel) else {}
    parts = chunks(response)
    if schema.get("type") == "string" and schema.get("format") == "binary":
        async for chunk in parts:
            yield chunk
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest = ""
    async for chunk in parts:
        text = decoder.decode(chunk)
        if schema.get("type") == "string":
            if text:
                yield text
            continue
        found, rest = _documents(rest + text)
        for document in found:
            model = spec.model_validate(document)
            yield model.root if isinstance(model, IORootModel) else model
    decoder.decode(b"", final=True)
    if rest.strip():
        raise AnswerUnreadableError("the candidate's stream ended within an item")


def _documents(text: str) -> tuple[list[Any], str]:
    """Return the JSON documents that `text` holds, and what is left of it."""
    found, position, scan = [], 0, json.JSONDecoder().raw_decode
    while position < len(text):
        try:
            document, end = scan(text, position)
        except ValueError:
            if text[position].isspace():
                position += 1
                continue
            break
        found.append(document)
        position = end
    return found, text[position:]
