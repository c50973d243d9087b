"""The HTTP responses of another BentoML server: its errors, the chunks of a stream, files."""

import asyncio
import io
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
from bentoml.exceptions import BentoMLException

from flags.serving.bentoml_private import IODescriptor
from flags.serving.sides.binary_answers import is_image

_FILES_KEPT: Final = 60.0
"""Seconds that `score` has for reading a file."""


def error_of(response: aiohttp.ClientResponse, body: bytes) -> BentoMLException | None:
    """Return BentoML's error behind an error response, with its message and status.

    Returns None if the model itself made the response. BentoML has three formats of errors.
    """
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    message: Any = None
    if response.content_type == "application/json":
        if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
            message = content[0].get("error") if set(content[0]) == {"error"} else None
        elif isinstance(content, dict) and set(content) == {"error"}:
            message = content["error"] if _is_general(response.status, content["error"]) else None
        elif isinstance(content, dict) and set(content) == {"error", "detail"}:
            message = content["error"] if response.status == HTTPStatus.BAD_REQUEST else None
    if not isinstance(message, str):
        return None
    return error_of_status(response.status, message)


def error_of_status(status: int, message: str) -> BentoMLException:
    """Return BentoML's error for a status, with `message`."""
    try:
        code = HTTPStatus(status)
    except ValueError:  # a proxy's own status, such as 520
        code = HTTPStatus.INTERNAL_SERVER_ERROR
    kind = BentoMLException.error_mapping.get(code, BentoMLException)
    if kind.__module__ != BentoMLException.__module__:  # a service's own may take other arguments
        kind = BentoMLException
    return kind(message, error_code=code)


def _is_general(status: int, message: Any) -> bool:
    """Say whether an error's message is one that BentoML itself writes for any API."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return bool(message == "Authorization error")
    ours = ("An unexpected error has occurred", "Not able to process the request in", "Too many re")
    return isinstance(message, str) and message.startswith(ours)


async def chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the HTTP chunks of a body, each complete."""
    parts: list[bytes] = []
    async for part, ends_chunk in response.content.iter_chunks():
        parts.append(part)
        if ends_chunk and (whole := b"".join(parts)):
            parts.clear()
            yield whole
    if rest := b"".join(parts):  # a body with a content length has no chunks
        yield rest


async def body_chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a body as they arrive, and close the response at the end."""
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    finally:
        response.close()


def file_of(
    spec: type[IODescriptor], response: aiohttp.ClientResponse, body: bytes, folder: str
) -> Any:
    """Return the value that `score` reads for a file: the image, or a path in `folder`."""
    if is_image(spec):
        from PIL import Image  # an extra that only such a service has

        return Image.open(io.BytesIO(body))
    own = Path(tempfile.mkdtemp(dir=folder))
    asyncio.get_running_loop().call_later(_FILES_KEPT, shutil.rmtree, own, True)
    disposition = response.content_disposition
    path = own / Path((disposition and disposition.filename) or "answer").name
    path.write_bytes(body)
    return path
