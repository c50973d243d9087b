"""The answers of a remote candidate: values by the primary's schema, and headers."""

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
from flags.serving.sides.http_answers import chunks, error_of, error_of_status
from flags.serving.sides.runner_wire import end_to_end_headers, with_headers

MODEL_HEADER: Final = "X-Model-Tag"
"""Header in which a server may name the model that has answered."""

_BENTOML: Final = "X-BentoML-Request-ID"
"""Header that every answer of a BentoML API has, also behind a proxy."""

_UNAVAILABLE: Final = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)

_NOT_FOR_CALLERS: Final = frozenset(
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
"""Headers of the candidate's response that do not belong into the caller's response."""

_CORS: Final = b"access-control-"


def failure(response: aiohttp.ClientResponse, body: bytes) -> Exception | None:
    """Return the error behind a response, with its message; None for an answer.

    A status from 400 on, without BentoML's header, comes from a proxy, not from the model.
    """
    if response.ok:
        return None
    if (error := error_of(response, body)) is not None:
        return error
    message = f"{response.status}: {body[:200].decode(errors='replace')}"
    if response.status in _UNAVAILABLE and _BENTOML not in response.headers:
        return SideDownError(f"a proxy before the candidate answered {message}")
    return None if _BENTOML in response.headers else error_of_status(response.status, message)


def is_own_response(spec: type[IODescriptor], response: aiohttp.ClientResponse) -> bool:
    """Say whether the model returned a response instead of a value of `spec`."""
    if _BENTOML not in response.headers:
        return False
    ours = spec.mime_type().split(";")[0].strip()
    return response.status >= HTTPStatus.MULTIPLE_CHOICES or response.content_type != ours


def value_of(spec: type[IODescriptor], body: bytes, *, may_be_text: bool = False) -> Any:
    """Return the value in `body`; raises ValueError or AnswerUnreadableError if it is invalid.

    BentoML sends a text as it is, of an API of any type too: with `may_be_text`, such a body is
    taken for one if it is no other JSON.
    """
    schema = spec.model_json_schema() if issubclass(spec, IORootModel) else {}
    if schema.get("type") == "string":
        return body if schema.get("format") == "binary" else body.decode()
    if not body:
        raise AnswerUnreadableError("the candidate's answer is empty")
    if may_be_text and issubclass(spec, IORootModel):
        return spec.model_validate(_json_or_text(body)).root
    model = JSONSerde().deserialize_model(Payload((body,)), spec)
    return model.root if isinstance(model, IORootModel) else model


def _json_or_text(body: bytes) -> Any:
    try:
        value = json.loads(body)
    except ValueError:
        return body.decode()
    return body.decode() if isinstance(value, str) else value


def forwarded_response(response: aiohttp.ClientResponse, body: bytes) -> Response:
    """Return the server's response for the caller."""
    excluded = _NOT_FOR_CALLERS - {b"content-type", b"vary"}
    return with_headers(
        Response(body, response.status),
        [
            *((name, value) for name, value in _headers(response) if name not in excluded),
            (b"content-length", str(len(body)).encode()),
        ],
    )


def apply_to_context(response: aiohttp.ClientResponse, context: SideContext) -> None:
    """Set status, headers and cookies of the response on the context."""
    context.response.status_code = response.status
    for name, value in _headers(response):
        if name == b"set-cookie":
            context.raw_cookies.append(value)
        elif name not in _NOT_FOR_CALLERS:
            context.response.metadata[name.decode("latin-1")] = value.decode("latin-1")


def _headers(response: aiohttp.ClientResponse) -> list[tuple[bytes, bytes]]:
    headers = end_to_end_headers(response.raw_headers)
    return [(name, value) for name, value in headers if not name.startswith(_CORS)]


async def items_of(
    spec: type[IODescriptor], response: aiohttp.ClientResponse
) -> AsyncGenerator[Any, None]:
    """Yield the items of a stream.

    BentoML sends each item as an HTTP chunk. Chunks of text and bytes are yielded unchanged. JSON
    documents are found even if a proxy has split or joined chunks.

    Raises AnswerUnreadableError if the stream ends within an item.
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
    """Return the complete JSON documents in `text`, and the rest of it."""
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
