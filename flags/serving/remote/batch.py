"""A call of another server for many requests: its API over a list of inputs."""

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
from flags.serving.sides.context import shadow_of_many


def remote_batch(
    link: RemoteLink, connections: Connections, method: BatchMethod
) -> Callable[[Any], Any]:
    """Return a call of the server's API `method`; address and parameter are those it says."""

    async def call(rows: Any) -> CallResult:
        link.check()
        url, body = _joined(link, method, rows) if method.joins else _listed(link, method, rows)
        request = shadow_of_many(f"/{method.name}").request
        headers = call_headers(request, link.settings.token, credentials=False)
        if body.media_type is not None:
            headers["Content-Type"] = body.media_type
        async with connections.one():
            began = time.perf_counter()
            with link.calling():
                async with link.session.post(
                    url, data=body.payload(), headers=headers, allow_redirects=False, ssl=link.tls
                ) as response:
                    answered = await response.read()
                    if (error := failure(response, answered)) is not None:
                        raise error
            duration = time.perf_counter() - began
        model = response.headers.get(MODEL_HEADER)
        return CallResult(_read(answered, method), None, duration, model=model)

    return call


def _joined(link: RemoteLink, method: BatchMethod, rows: Any) -> tuple[str, Body]:
    """Return address and body of the API itself, whose one input holds those of many."""
    api = method.api
    if issubclass(api.input_spec, IORootModel):
        body = call_body(api, (rows,), {})
    else:
        body = call_body(api, (), {next(iter(api.input_spec.model_fields)): rows})
    return link.remote.url + api.route, body


def _listed(link: RemoteLink, method: BatchMethod, rows: list[Any]) -> tuple[str, Body]:
    """Return address and body of an API over a list of inputs."""
    url, schema = link.further_api(method.name)
    return url, Body(_body(method.name, schema, rows), "application/json")


def _read(answered: bytes, method: BatchMethod) -> Any:
    if method.joins:
        return value_of(method.api.output_spec, answered)
    answers = json.loads(answered)
    if not isinstance(answers, list):
        raise AnswerUnreadableError(f"{method.name} did not answer with a list")
    return read_rows(answers, method)


def _body(name: str, schema: Mapping[str, Any], rows: list[Any]) -> bytes:
    """Return the list of rows as the API takes it: as the whole body, or as its one parameter."""
    sent: Any = rows
    if not schema.get("root_input"):
        parameters = list(schema.get("properties") or ())
        if len(parameters) != 1:
            raise ApiMismatchError(f"{name} must have one parameter, the list of inputs")
        sent = {parameters[0]: rows}
    plain = pydantic_core.to_jsonable_python(sent, by_alias=True, inf_nan_mode="constants")
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
