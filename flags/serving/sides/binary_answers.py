"""Rendering and measuring of answers that are images, files or bytes."""

import asyncio
import hashlib
from collections.abc import Coroutine
from pathlib import Path, PurePath
from typing import Any, Final

from starlette.responses import Response

from flags.pairing.observation import Content
from flags.pairing.scorer import Render
from flags.serving.bentoml_private import IODescriptor, IORootModel, JSONSerde

_BLOCK: Final = 2**20
"""Bytes of a file that are read at once."""


def is_file(spec: type[IODescriptor]) -> bool:
    """Say whether answers are images or files."""
    return issubclass(spec, IORootModel) and spec.model_json_schema().get("type") == "file"


def is_image(spec: type[IODescriptor]) -> bool:
    """Say whether answers are images."""
    return is_file(spec) and bool(spec.model_json_schema().get("pil"))


def is_binary(spec: type[IODescriptor]) -> bool:
    """Say whether answers are images, files or bytes."""
    if not issubclass(spec, IORootModel):
        return False
    schema = spec.model_json_schema()
    return is_file(spec) or (schema.get("type"), schema.get("format")) == ("string", "binary")


def rendering(spec: type[IODescriptor]) -> Render:
    """Return the function that renders an answer as BentoML would send it.

    A file stays a path, because BentoML sends it from the disk. The function raises OSError if the
    file does not exist.
    """
    in_thread = is_image(spec)  # encoding one takes as long as a model

    async def render(answer: Any) -> Any:
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, PurePath):
            await asyncio.to_thread(Path(answer).stat)
            return answer
        response = spec.to_http_response(answer, JSONSerde())
        return await (asyncio.to_thread(_completed, response) if in_thread else response)

    return render


def _completed(coroutine: Coroutine[None, None, Response]) -> Response:
    """Return the result of a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        response: Response = done.value
        return response
    raise RuntimeError("an answer that had to be waited for is not an image")


def measure(sent: Any) -> Content:
    """Return length and digest of the content sent: a file's path, or a response with its body."""
    digest = hashlib.sha256()
    if not isinstance(sent, PurePath):
        digest.update(sent.body)
        return Content(len(sent.body), digest.hexdigest())
    length = 0
    with Path(sent).open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            length += len(block)
    return Content(length, digest.hexdigest())
