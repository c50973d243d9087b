"""A client of a model's process, for answers that BentoML's client would change.

That client cuts a stream into pieces of its own, decodes an image, writes a file under another
name, and ends a stream after the service's time limit. It offers no public way to the response as
it came: `_session_manager` and `_build_payload` are the ones used here. A test over real processes
holds them in place.
"""

import asyncio
import io
import pickle
import pickletools
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

import aiohttp
from starlette.responses import Response

from flags.pairing.scorer import CallResult
from flags.serving.bentoml_private import APIMethod, IORootModel, map_exception
from flags.serving.sides.binary_answers import is_image
from flags.serving.sides.context import SideContext, forwarded

_PICKLED: Final = b"\x80"
"""First byte of every pickle, and of no text in UTF-8."""

_NEXT_BUFFER: Final = b"\x97"
"""Where a pickle has this, there may be an array behind it."""

_FILE_HEADERS: Final = ("content-type", "content-disposition", "etag", "last-modified")
"""What BentoML says of a file besides its length."""

_FILES_KEPT: Final = 60.0
"""Seconds that `score` has for reading a file."""


class RunnerClient:
    """Calls of one API in the model's process, answered as they come."""

    def __init__(self, client: Any, api: APIMethod[..., Any], folder: str | None = None) -> None:
        """Call `api` by BentoML's asynchronous `client`.

        With a `folder`, an answer that is a file is there as the image, or as a path in it.
        """
        self._client = client
        self._api = api
        self._folder = folder
        schema = api.output_spec.model_json_schema()
        self._is_text = schema.get("type") == "string"  # bytes as well

    async def items(self, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """Yield the items of a stream, each as the model yielded it.

        The model's process sends every item as one HTTP chunk: a text or bytes as they are, any
        other pickled, its arrays as chunks behind it.
        """
        response = await self._response(args, kwargs)
        try:
            chunks = _chunks(response)
            async for chunk in chunks:
                if self._is_text or not chunk.startswith(_PICKLED):
                    yield _text(chunk)
                else:
                    buffers = [await anext(chunks) for _ in range(_buffers_behind(chunk))]
                    yield self._restored(pickle.loads(chunk, buffers=buffers))  # noqa: S301 - our own child
        finally:
            response.close()

    async def file(self, *args: Any, **kwargs: Any) -> CallResult:
        """Return an image or a file with the response that brought it."""
        began = time.perf_counter()
        response = await self._response(args, kwargs)
        body = await response.read()
        headers = {name: value for name in _FILE_HEADERS if (value := response.headers.get(name))}
        value = None if self._folder is None else self._value(response, body)
        duration = time.perf_counter() - began
        return CallResult(value, None, duration, Response(body, headers=headers))

    async def _response(self, args: Any, kwargs: dict[str, Any]) -> aiohttp.ClientResponse:
        client, endpoint = self._client, self._client.endpoints[self._api.name]
        context: SideContext | None = kwargs.pop(self._api.ctx_param or "", None)
        own = {} if context is None else forwarded(context.request.headers)
        headers = {"content-type": client.media_type, **own}
        session: aiohttp.ClientSession = await client._session_manager.get_session()
        body = client._build_payload(endpoint, args, kwargs, headers)
        async with asyncio.timeout(client.timeout):  # to its first item; not to its last
            response = await session.post(
                endpoint.route,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        if not response.ok:
            raise await map_exception(response)
        if context is not None:
            context.response.status_code = response.status
            context.response.metadata.update(forwarded(response.headers))
        return response

    def _restored(self, dumped: Any) -> Any:
        model = self._api.output_spec.model_validate(dumped)
        return model.root if isinstance(model, IORootModel) else model

    def _value(self, response: aiohttp.ClientResponse, body: bytes) -> Any:
        if is_image(self._api.output_spec):
            from PIL import Image  # an extra that only such a service has

            return Image.open(io.BytesIO(body))
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        asyncio.get_running_loop().call_later(_FILES_KEPT, shutil.rmtree, folder, True)
        disposition = response.content_disposition
        path = folder / Path((disposition and disposition.filename) or "answer").name
        path.write_bytes(body)
        return path


async def _chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the HTTP chunks of a body, each as a whole."""
    parts: list[bytes] = []
    async for part, ends_chunk in response.content.iter_chunks():
        parts.append(part)
        if ends_chunk and (whole := b"".join(parts)):
            parts.clear()
            yield whole
    if rest := b"".join(parts):  # a body of a known length, which has no chunks
        yield rest


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
