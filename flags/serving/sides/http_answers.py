"""The answers of another server of BentoML: its errors, the items of a stream, files."""

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
    """Return the error that BentoML made this response of, in its words and with its status.

    None for a status and an answer of the model's own: BentoML writes errors in three ways.
    """
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    said: Any = None
    if response.content_type == "application/json":
        if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
            said = content[0].get("error") if set(content[0]) == {"error"} else None
        elif isinstance(content, dict) and set(content) == {"error"}:
            said = content["error"] if _is_general(response.status, content["error"]) else None
        elif isinstance(content, dict) and set(content) == {"error", "detail"}:
            said = content["error"] if response.status == HTTPStatus.BAD_REQUEST else None
    if not isinstance(said, str):
        return None
    return said_error(response.status, said)


def said_error(status: int, said: str) -> BentoMLException:
    """Return the error that BentoML has for a status, with the words `said`."""
    try:
        known = HTTPStatus(status)
    except ValueError:  # of a proxy: 520 and the like
        known = HTTPStatus.INTERNAL_SERVER_ERROR
    return BentoMLException.error_mapping.get(known, BentoMLException)(said, error_code=known)


def _is_general(status: int, said: Any) -> bool:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return bool(said == "Authorization error")
    ours = ("An unexpected error has occurred", "Not able to process the request in", "Too many re")
    return isinstance(said, str) and said.startswith(ours)


async def chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the HTTP chunks of a body, each as a whole."""
    parts: list[bytes] = []
    async for part, ends_chunk in response.content.iter_chunks():
        parts.append(part)
        if ends_chunk and (whole := b"".join(parts)):
            parts.clear()
            yield whole
    if rest := b"".join(parts):  # a body of a known length, which has no chunks
        yield rest


async def passed_on(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes, and close the response in the end."""
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    finally:
        response.close()


def file_of(
    spec: type[IODescriptor], response: aiohttp.ClientResponse, body: bytes, folder: str
) -> Any:
    """Return what `score` gets of an answer that is a file: the image, or a path in `folder`."""
    if is_image(spec):
        from PIL import Image  # an extra that only such a service has

        return Image.open(io.BytesIO(body))
    own = Path(tempfile.mkdtemp(dir=folder))
    asyncio.get_running_loop().call_later(_FILES_KEPT, shutil.rmtree, own, True)
    disposition = response.content_disposition
    path = own / Path((disposition and disposition.filename) or "answer").name
    path.write_bytes(body)
    return path
