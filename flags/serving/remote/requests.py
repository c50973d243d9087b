"""A call as an HTTP request to another server: headers, and a body that needs no pickle.

BentoML's own client cannot be used: it closes files together with those of other calls, has no body
for an API whose whole input is a file, and cannot write models or arrays beside a file.
"""

import io
import json
import mimetypes
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

import aiohttp
import pydantic
from multidict import CIMultiDict
from opentelemetry import propagate
from starlette.requests import Request

from flags.serving.bentoml_private import APIMethod, IODescriptor, IORootModel, PickleSerde
from flags.serving.http.kept_body import kept_body, media_type_of
from flags.serving.http.outgoing import identity_headers
from flags.serving.sides.binary_answers import is_file
from flags.serving.sides.runner_wire import CALL_HEADER

_NOT_FORWARDED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        CALL_HEADER,
    }
)
"""Headers of one connection, or of the caller's own body."""

_CREDENTIALS: Final = frozenset({"authorization", "cookie"})

_JSON: Final = "application/json"

_PNG_MODES: Final = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})

Headers = CIMultiDict[str]


def call_headers(request: Request, token: str | None, *, credentials: bool) -> Headers:
    """Return the headers for another server: the caller's, the request's identity, the trace.

    `request` is the candidate's: that of a shadow has `X-Shadow`. The caller's own credentials are
    forwarded only with `credentials`; a `token` replaces them.
    """
    excluded = _NOT_FORWARDED if credentials else _NOT_FORWARDED | _CREDENTIALS
    headers: Headers = CIMultiDict(
        (name.decode("latin-1"), _decoded(value))
        for name, value in request.scope["headers"]
        if name.decode("latin-1").lower() not in excluded
    )
    headers.update(identity_headers.get() or {})
    propagate.inject(headers)  # the trace of this service's span, if it has one
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return headers


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request."""

    content: bytes | str | Callable[[], aiohttp.FormData]
    """Or a function that returns a new form, because a form can be sent only once."""
    media_type: str | None
    """None for a form, which sets its own."""

    def payload(self) -> Any:
        """Return the data for aiohttp."""
        return self.content() if callable(self.content) else self.content


def call_body(api: APIMethod[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Body:
    """Return the body of a call of `api`.

    Raises the error of a value that cannot be serialised, and OSError for a missing file.
    """
    spec = api.input_spec
    if args and isinstance(args[0], pydantic.BaseModel):
        return Body(_json(args[0].model_dump(mode="json", by_alias=True)), _JSON)
    if not issubclass(spec, IORootModel):
        model = spec.from_inputs(*args, **kwargs)
        if spec.multipart_fields:
            return _form(model, spec)
        return Body(_json(model.model_dump(mode="json", by_alias=True)), _JSON)
    value = args[0] if args else getattr(spec.from_inputs(), "root", None)
    if is_file(spec):
        content, _, media_type = _file(value)
        return Body(content, media_type or "application/octet-stream")
    model = spec.from_inputs(value)
    dumped = model.model_dump()
    if isinstance(dumped, str | bytes):
        return Body(dumped, spec.mime_type())
    return Body(_json(model.model_dump(mode="json")), _JSON)


def sent_body(request: Request) -> Body | None:
    """Return the body as the caller sent it; None if it was not kept, or is a pickle."""
    body = kept_body(request)
    if body is None or media_type_of(request) == PickleSerde.media_type:
        return None
    return Body(body, request.headers.get("content-type"))


def _json(value: Any) -> bytes:
    # Not pydantic's JSON, which writes NaN as null, so that a frame with a gap would be rejected.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _form(model: Any, spec: type[IODescriptor]) -> Body:
    plain = model.model_dump(mode="json", exclude=set(spec.multipart_fields))
    files = [
        (name, _file(each))
        for name in spec.multipart_fields
        for each in _as_list(getattr(model, name))
    ]

    def form() -> aiohttp.FormData:
        data = aiohttp.FormData(default_to_multipart=True)
        for name, value in plain.items():
            data.add_field(name, _json(value).decode())
        for name, (content, file_name, media_type) in files:
            data.add_field(name, content, filename=file_name, content_type=media_type)
        return data

    return Body(form, None)


def _as_list(value: Any) -> Iterator[Any]:
    if value is None:
        return
    if isinstance(value, list | tuple):
        yield from value
    else:
        yield value


def _file(value: Any) -> tuple[bytes, str, str | None]:
    """Return content, name and media type of a path or an image."""
    if isinstance(value, PurePath):
        return Path(value).read_bytes(), value.name, mimetypes.guess_type(value)[0]
    # Lossless, not in the image's own format: a JPEG that is encoded again is another image.
    kind = "PNG" if value.mode in _PNG_MODES else "TIFF"
    buffer = io.BytesIO()
    value.save(buffer, format=kind, **({"compress_level": 1} if kind == "PNG" else {}))
    return buffer.getvalue(), f"image.{kind.lower()}", f"image/{kind.lower()}"


def _decoded(value: bytes) -> str:
    try:
        return value.decode()  # aiohttp writes UTF-8
    except UnicodeDecodeError:
        return value.decode("latin-1")
