"""A client of a model's process that returns answers unchanged, unlike BentoML's client.

BentoML's client cuts a stream into other pieces, decodes an image, writes a file under another
name, reads every other answer as a value, and treats each status from 400 on as an error. It has no
public access to the original response.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlparse

import aiohttp
from bentoml.exceptions import BentoMLException
from opentelemetry import propagate
from starlette.responses import Response, StreamingResponse

from flags.pairing.call import CallResult
from flags.serving.bentoml_private import (
    APIMethod,
    uri_to_path,
)
from flags.serving.sides.binary_answers import is_file
from flags.serving.sides.call_serde import VALUE_HEADER, CallSerde, answer_of, call_body, is_value
from flags.serving.sides.context import SideContext
from flags.serving.sides.http_answers import body_chunks, chunks, error_of, file_of
from flags.serving.sides.runner_wire import CALL_HEADER, WireCall, end_to_end_headers, with_headers

_TEXT_HEADERS: Final = frozenset({b"content-length", b"content-type"})
"""The headers of a text that the model returned as a value."""

_IDLE: Final = 4.0
"""Seconds for which an idle connection is kept: BentoML's server closes it after 5."""

_HEADER_BYTES: Final = 2**20
_HEADERS: Final = 10_000
"""Limits of a response's headers: BentoML's server has none, and aiohttp's are 8 KiB and 128."""

_RESPONSE: Final = "bentoml_flags_response"
"""Attribute of an error: the response that carried it."""


def response_of(error: BaseException) -> Response | None:
    """Return the response of another process that carried `error`; None if there is none."""
    return getattr(error, _RESPONSE, None)


def new_session(client: Any) -> aiohttp.ClientSession:
    """Return a session to the server of BentoML's asynchronous `client`, which changes nothing.

    BentoML's own session closes after 100 requests, together with requests of other tasks
    (https://github.com/bentoml/BentoML/issues/5540).
    """
    url = urlparse(client.url)
    connector, base = None, client.url
    if url.scheme == "file":
        path = uri_to_path(client.url)
        connector = aiohttp.UnixConnector(path=path, limit=0, keepalive_timeout=_IDLE)
        base = "http://127.0.0.1:3000"
    elif url.scheme == "tcp":
        base = f"http://{url.netloc}"
    return aiohttp.ClientSession(
        base_url=base,
        headers=client.default_headers,
        connector=connector or aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
        max_headers=_HEADERS,
    )


class RunnerClient:
    """A client of one API in the model's process."""

    def __init__(
        self,
        client: Any,
        session: aiohttp.ClientSession,
        api: APIMethod[..., Any],
        folder: str | None = None,
        *,
        shadow_tasks: bool = False,
    ) -> None:
        """Call `api` by BentoML's asynchronous `client`, over `session`.

        With a `folder`, the value of an answer that is a file is the image, or a path in `folder`.
        With `shadow_tasks`, background tasks of shadows run too.
        """
        self._client = client
        self._session = session
        self._api = api
        self._folder = folder
        self._path = (client.service.path_prefix or "") + api.route
        self._shadow_tasks = shadow_tasks
        schema = api.output_spec.model_json_schema()
        self._is_text = schema.get("type") == "string"  # bytes as well
        self._is_bytes = schema.get("format") == "binary"

    async def items(
        self, context: SideContext, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        """Yield the items of a stream as the model yielded them.

        The model's process sends each item as one HTTP chunk: text and bytes unchanged, anything
        else pickled.
        """
        response = await self._response(context, args, kwargs)
        try:
            if not response.ok and (error := self._error(response, await response.read())):
                raise error
            self._apply(response, context)
            async for chunk in chunks(response):
                if is_value(chunk):
                    yield answer_of(self._api.output_spec, chunk)
                else:
                    yield _text(chunk)
        finally:
            response.close()

    async def answer(self, context: SideContext, *args: Any, **kwargs: Any) -> CallResult:
        """Return the model's value, or its response."""
        began = time.perf_counter()
        response = await self._response(context, args, kwargs)
        if self._passes_through(response, context):
            sent = with_headers(
                StreamingResponse(body_chunks(response), response.status), response.raw_headers
            )
            context.is_applied = True
            return CallResult(sent, None, time.perf_counter() - began)
        body = await response.read()
        if not response.ok and (error := self._error(response, body)):
            raise error
        if self._is_value(response):
            self._apply(response, context)
            return CallResult(self._value(body), None, time.perf_counter() - began)
        context.is_applied = True
        own = with_headers(Response(body, response.status), response.raw_headers)
        value: Any = own
        spec = self._api.output_spec
        if is_file(spec) and response.ok:
            value = None if self._folder is None else file_of(spec, response, body, self._folder)
        return CallResult(value, None, time.perf_counter() - began, own)

    def _passes_through(self, response: aiohttp.ClientResponse, context: SideContext) -> bool:
        """Say whether to forward a response while it arrives: a stream for a waiting caller."""
        is_stream = response.content_length is None and response.ok
        return is_stream and not context.is_shadow and VALUE_HEADER not in response.headers

    def _is_value(self, response: aiohttp.ClientResponse) -> bool:
        """Say whether the model returned a value, not a response; for texts, headers decide."""
        if VALUE_HEADER in response.headers:
            return True
        ours = self._api.output_spec.mime_type().split(";")[0].strip()
        if not self._is_text or response.content_type != ours:
            return False
        if self._api.ctx_param is not None:  # then the context has status and headers anyway
            return True
        names = {name for name, _ in end_to_end_headers(response.raw_headers)}
        return bool(response.status == HTTPStatus.OK) and names <= _TEXT_HEADERS

    async def _response(
        self, context: SideContext, args: Any, kwargs: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        runs_tasks = self._shadow_tasks or not context.is_shadow
        # A submitted task has no time limit without this plugin: its caller has an answer already.
        has_time_limit = not (self._api.is_task and context.request.scope["path"] != self._path)
        call = WireCall.of(
            context.request.scope, runs_tasks=runs_tasks, has_time_limit=has_time_limit
        )
        headers = {"Content-Type": CallSerde.media_type, CALL_HEADER: call.packed()}
        propagate.inject(headers)
        body = call_body(self._api.input_spec, args, kwargs)
        # For a stream, until its first item.
        async with asyncio.timeout(self._client.timeout if has_time_limit else None):
            return await self._session.post(
                self._path, data=body, headers=headers, allow_redirects=False
            )

    def _error(self, response: aiohttp.ClientResponse, body: bytes) -> BentoMLException | None:
        """Return BentoML's error behind this response, with the response as an attribute."""
        error = None if VALUE_HEADER in response.headers else error_of(response, body)
        if error is not None:
            answer = with_headers(Response(body, response.status), response.raw_headers)
            setattr(error, _RESPONSE, answer)
        return error

    def _apply(self, response: aiohttp.ClientResponse, context: SideContext) -> None:
        """Set status, headers and cookies of the response on the context, if the API takes one."""
        if self._api.ctx_param is None:
            return
        context.response.status_code = response.status
        for name, value in end_to_end_headers(response.raw_headers):
            if name == b"set-cookie":
                context.raw_cookies.append(value)
            elif name != b"content-length":
                context.response.metadata[name.decode("latin-1")] = value.decode("latin-1")

    def _value(self, body: bytes) -> Any:
        if not self._is_text:
            return answer_of(self._api.output_spec, body)
        return body if self._is_bytes else body.decode()


def _text(chunk: bytes) -> str | bytes:
    try:
        return chunk.decode()
    except UnicodeDecodeError:
        return chunk
