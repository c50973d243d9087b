"""A client of one API of a remote candidate."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp

from flags.pairing.call import CallResult
from flags.pairing.streams.items import END
from flags.serving.bentoml_private import APIMethod
from flags.serving.remote.answers import (
    MODEL_HEADER,
    apply_to_context,
    failure,
    forwarded_response,
    is_own_response,
    items_of,
    value_of,
)
from flags.serving.remote.connections import Connections
from flags.serving.remote.link import RemoteLink
from flags.serving.remote.requests import Body, call_body, call_headers, sent_body
from flags.serving.sides.binary_answers import is_file
from flags.serving.sides.context import SideContext
from flags.serving.sides.http_answers import file_of


class RemoteClient:
    """Make calls of one API. A call can be cancelled at its time limit in any phase."""

    def __init__(
        self,
        link: RemoteLink,
        connections: Connections,
        api: APIMethod[..., Any],
        folder: str | None,
    ) -> None:
        """Call `api` over `link`.

        With a `folder`, the value of an answer that is a file is the image, or a path in `folder`.
        """
        self._link = link
        self._connections = connections
        self._api = api
        self._folder = folder
        self._spec = api.output_spec
        self._url = link.remote.url + api.route

    async def answer(self, context: SideContext, *args: Any, **kwargs: Any) -> CallResult:
        """Return the model's value or response; raises its error."""
        self._link.check()
        content = await self._body(context, args, kwargs)
        async with self._connections.one():
            began = time.perf_counter()
            with self._link.calling():
                response = await self._response(context, content)
                async with response:
                    body = await response.read()
                if (error := failure(response, body)) is not None:
                    raise error
            duration = time.perf_counter() - began
        try:
            return self._result(context, response, body, duration)
        except ValueError:
            self._link.check_schema_soon()
            raise

    async def items(
        self, context: SideContext, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        """Yield the items of a stream as they arrive; raises the model's error."""
        self._link.check()
        content = await self._body(context, args, kwargs)
        async with self._connections.one():
            response: aiohttp.ClientResponse | None = None
            try:
                with self._link.calling():
                    response = await self._response(context, content)
                    if not response.ok:
                        body = await response.read()
                        raise failure(response, body) or ValueError(f"status {response.status}")
                    apply_to_context(response, context)
                    items = items_of(self._spec, response)
                    item = await anext(items, END)
                async with aclosing(items):
                    while item is not END:
                        yield item
                        item = await anext(items, END)
            finally:
                if response is not None:
                    response.close()

    async def _body(
        self, context: SideContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Body:
        if (body := sent_body(context.request)) is not None:
            return body
        if self._api.input_spec.multipart_fields:  # reads files, or encodes images
            return await asyncio.to_thread(call_body, self._api, args, kwargs)
        return call_body(self._api, args, kwargs)

    async def _response(self, context: SideContext, content: Body) -> aiohttp.ClientResponse:
        link = self._link
        headers = call_headers(
            context.request,
            link.settings.token,
            credentials=link.remote.forward_credentials,
        )
        if content.media_type is not None:
            headers["Content-Type"] = content.media_type
        return await link.session.post(
            self._url,
            data=content.payload(),
            headers=headers,
            allow_redirects=False,
            ssl=link.tls,
        )

    def _result(
        self,
        context: SideContext,
        response: aiohttp.ClientResponse,
        body: bytes,
        duration: float,
    ) -> CallResult:
        spec, model = self._spec, response.headers.get(MODEL_HEADER)
        if is_file(spec) and response.ok:
            context.is_applied = True
            sent = forwarded_response(response, body)
            value = None if self._folder is None else file_of(spec, response, body, self._folder)
            return CallResult(value, None, duration, sent, model)
        if is_own_response(spec, response):
            context.is_applied = True
            sent = forwarded_response(response, body)
            return CallResult(sent, None, duration, sent, model)
        is_ours = response.content_type == spec.mime_type().split(";")[0]
        value = value_of(spec, body, may_be_text=is_ours)
        apply_to_context(response, context)
        return CallResult(value, None, duration, model=model)
