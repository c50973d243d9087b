"""Batch calls of a remote candidate."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pydantic_core

from flags.errors import AnswerUnreadableError, ApiMismatchError
from flags.pairing.call import CallResult
from flags.serving.batch_method import BatchMethod, read_rows
from flags.serving.bentoml_private import IORootModel
from flags.serving.remote.answers import MODEL_HEADER, failure, value_of
from flags.serving.remote.connections import Connections
from flags.serving.remote.link import RemoteLink
from flags.serving.remote.requests import Body, call_body, call_headers
from flags.serving.sides.context import batch_context


def remote_batch(
    link: RemoteLink, connections: Connections, method: BatchMethod
) -> Callable[[Any], Any]:
    """Return a function that calls the server's API `method` for many inputs."""

    async def call(rows: Any) -> CallResult:
        link.check()
        url, body = (
            _joined_call(link, method, rows) if method.joins else _list_call(link, method, rows)
        )
        request = batch_context(f"/{method.name}").request
        headers = call_headers(request, link.settings.token, credentials=False)
        if body.media_type is not None:
            headers["Content-Type"] = body.media_type
        async with connections.one():
            began = time.perf_counter()
            with link.calling():
                async with link.session.post(
                    url, data=body.payload(), headers=headers, allow_redirects=False, ssl=link.tls
                ) as response:
                    content = await response.read()
                    if (error := failure(response, content)) is not None:
                        raise error
            duration = time.perf_counter() - began
        model = response.headers.get(MODEL_HEADER)
        return CallResult(_read(content, method), None, duration, model=model)

    return call


def _joined_call(link: RemoteLink, method: BatchMethod, rows: Any) -> tuple[str, Body]:
    """Return address and body for a call of the API itself, with joined inputs."""
    api = method.api
    if issubclass(api.input_spec, IORootModel):
        body = call_body(api, (rows,), {})
    else:
        body = call_body(api, (), {next(iter(api.input_spec.model_fields)): rows})
    return link.remote.url + api.route, body


def _list_call(link: RemoteLink, method: BatchMethod, rows: list[Any]) -> tuple[str, Body]:
    """Return address and body for a call of an API over a list of inputs.

    Address and parameter are those of the server's schema.
    """
    url, schema = link.candidate_api(method.name)
    return url, Body(_body(method.name, schema, rows), "application/json")


def _read(content: bytes, method: BatchMethod) -> Any:
    if method.joins:
        return value_of(method.api.output_spec, content)
    answers = json.loads(content)
    if not isinstance(answers, list):
        raise AnswerUnreadableError(f"{method.name} did not answer with a list")
    return read_rows(answers, method)


def _body(name: str, schema: Mapping[str, Any], rows: list[Any]) -> bytes:
    """Return the JSON of the rows: as the whole body, or as the API's only parameter."""
    value: Any = rows
    if not schema.get("root_input"):
        parameters = list(schema.get("properties") or ())
        if len(parameters) != 1:
            raise ApiMismatchError(f"{name} must have one parameter, the list of inputs")
        value = {parameters[0]: rows}
    plain = pydantic_core.to_jsonable_python(value, by_alias=True, inf_nan_mode="constants")
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
