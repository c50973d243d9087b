"""A client of a model's process, for answers that BentoML's client would change.

BentoML's client cuts a stream into pieces of its own, decodes an image, writes a file under another
name, reads every other answer as a value, and takes each status from 400 on for an error. It offers
no public way to the response as it came: `_build_payload`, `_deserialize_output` and
`_session_manager` are what is used of it here. A test over real processes holds them in place.
"""

import asyncio
import pickle
import pickletools
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlparse

import aiohttp
from bentoml.exceptions import BentoMLException
from multidict import CIMultiDict
from starlette.responses import Response, StreamingResponse

from flags.pairing.call import CallResult
from flags.serving.bentoml_private import APIMethod, IORootModel, Payload, uri_to_path
from flags.serving.sides.binary_answers import is_file
from flags.serving.sides.context import SideContext
from flags.serving.sides.http_answers import chunks, error_of, file_of, passed_on
from flags.serving.sides.runner_wire import HEADER, WireCall, kept_headers, with_headers

_PICKLED: Final = b"\x80"
"""First byte of every pickle, and of no text in UTF-8."""

_NEXT_BUFFER: Final = b"\x97"
"""Where a pickle has this, there may be an array behind it."""

_VALUE: Final = "buffer-lengths"
"""Header of an answer that is a value, pickled."""

_OF_A_TEXT: Final = frozenset({b"content-length", b"content-type"})

_IDLE: Final = 4.0
"""Seconds for which a connection is kept: less than the 5 after which BentoML's server ends it."""

_FILES_KEPT: Final = 60.0
"""Seconds that `score` has for reading a file."""

_ANSWERED: Final = "bentoml_flags_response"
"""Attribute of an error: the response that said it."""


def answered_with(error: BaseException) -> Response | None:
    """Return the response by which another process said `error`."""
    return getattr(error, _ANSWERED, None)


def new_session(client: Any) -> aiohttp.ClientSession:
    """Return a session to where BentoML's asynchronous `client` goes, which changes nothing.

    BentoML's own closes after 100 requests, and with it what other tasks have in flight
    (https://github.com/bentoml/BentoML/issues/5540).
    """
    url = urlparse(client.url)
    connector, base = None, client.url
    if url.scheme == "file":
        place = uri_to_path(client.url)
        connector = aiohttp.UnixConnector(path=place, limit=0, keepalive_timeout=_IDLE)
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
    )


class RunnerClient:
    """Calls of one API in the model's process, answered as they come."""

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

        With a `folder`, an answer that is a file is there as the image, or as a path in it. With
        `shadow_tasks`, background tasks of shadows run too.
        """
        self._client = client
        self._session = session
        self._api = api
        self._folder = folder
        self._path = (client.service.path_prefix or "") + api.route
        self._shadow_tasks = shadow_tasks
        schema = api.output_spec.model_json_schema()
        self._is_text = schema.get("type") == "string"  # bytes as well

    async def items(
        self, context: SideContext, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        """Yield the items of a stream, each as the model yielded it.

        The model's process sends every item as one HTTP chunk: a text or bytes as they are, any
        other pickled, its arrays as chunks behind it.
        """
        response = await self._response(context, args, kwargs)
        try:
            if not response.ok and (error := self._error(response, await response.read())):
                raise error
            self._tell(context, response)
            parts = chunks(response)
            async for chunk in parts:
                if self._is_text or not chunk.startswith(_PICKLED):
                    yield _text(chunk)
                else:
                    buffers = [await anext(parts) for _ in range(_buffers_behind(chunk))]
                    yield self._restored(pickle.loads(chunk, buffers=buffers))  # noqa: S301 - our own child
        finally:
            response.close()

    async def answer(self, context: SideContext, *args: Any, **kwargs: Any) -> CallResult:
        """Return the value that the model returned, or the response."""
        began = time.perf_counter()
        response = await self._response(context, args, kwargs)
        if self._passes_through(response, context):
            sent = with_headers(
                StreamingResponse(passed_on(response), response.status), response.raw_headers
            )
            context.is_applied = True
            return CallResult(sent, None, time.perf_counter() - began)
        body = await response.read()
        if not response.ok and (error := self._error(response, body)):
            raise error
        if self._is_value(response):
            self._tell(context, response)
            payload = Payload((body,), response.headers)
            value = self._client._deserialize_output(
                payload, self._client.endpoints[self._api.name]
            )
            return CallResult(value, None, time.perf_counter() - began)
        context.is_applied = True
        sent = with_headers(Response(body, response.status), response.raw_headers)
        value = sent
        spec = self._api.output_spec
        if is_file(spec) and response.ok:
            value = None if self._folder is None else file_of(spec, response, body, self._folder)
        return CallResult(value, None, time.perf_counter() - began, sent)

    def _passes_through(self, response: aiohttp.ClientResponse, context: SideContext) -> bool:
        """Say whether to send a response on while it comes: one that is a stream, for a caller."""
        is_stream = response.content_length is None and response.ok
        return is_stream and not context.is_shadow and _VALUE not in response.headers

    def _is_value(self, response: aiohttp.ClientResponse) -> bool:
        """Say whether the model returned a value: a text looks like a response of that text."""
        if _VALUE in response.headers:
            return True
        ours = self._api.output_spec.mime_type().split(";")[0].strip()
        if not self._is_text or response.content_type != ours:
            return False
        if self._api.ctx_param is not None:  # its context decides the status in any case
            return True
        names = {name for name, _ in kept_headers(response.raw_headers)}
        return bool(response.status == HTTPStatus.OK) and names <= _OF_A_TEXT

    async def _response(
        self, context: SideContext, args: Any, kwargs: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        client, endpoint = self._client, self._client.endpoints[self._api.name]
        runs_tasks = self._shadow_tasks or not context.is_shadow
        call = WireCall.of(context.request.scope, runs_tasks=runs_tasks)
        headers = CIMultiDict({"content-type": client.media_type, HEADER: call.packed()})
        body = client._build_payload(endpoint, args, kwargs, headers)
        async with asyncio.timeout(client.timeout):  # to its first item; not to its last
            return await self._session.post(
                self._path, data=body, headers=headers, allow_redirects=False
            )

    def _error(self, response: aiohttp.ClientResponse, body: bytes) -> BentoMLException | None:
        """Return the error that BentoML made this response of, which goes with it."""
        error = None if _VALUE in response.headers else error_of(response, body)
        if error is not None:
            answer = with_headers(Response(body, response.status), response.raw_headers)
            setattr(error, _ANSWERED, answer)
        return error

    def _tell(self, context: SideContext, response: aiohttp.ClientResponse) -> None:
        """Set what came with a value on the context, if the side could set anything."""
        if self._api.ctx_param is None:
            return
        context.response.status_code = response.status
        for name, value in kept_headers(response.raw_headers):
            if name == b"set-cookie":
                context.raw_cookies.append(value)
            elif name != b"content-length":
                context.response.metadata[name.decode("latin-1")] = value.decode("latin-1")

    def _restored(self, dumped: Any) -> Any:
        model = self._api.output_spec.model_validate(dumped)
        return model.root if isinstance(model, IORootModel) else model


def _text(chunk: bytes) -> str | bytes:
    try:
        return chunk.decode()
    except UnicodeDecodeError:
        return chunk


def _buffers_behind(pickled: bytes) -> int:
    if _NEXT_BUFFER not in pickled:
        return 0
    codes = (code.name for code, *_ in pickletools.genops(pickled))
    return sum(name == "NEXT_BUFFER" for name in codes)
