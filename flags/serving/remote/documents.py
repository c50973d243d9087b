"""The documents that a BentoML server publishes: its schema, and the version of its Bento."""

import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

_MAX_BYTES: Final = 8 * 2**20
"""Longest document that is read."""


@dataclass(frozen=True, slots=True)
class ServerDocuments:
    """The documents of the server at `url`."""

    session: aiohttp.ClientSession
    url: str
    token: str | None
    tls: ssl.SSLContext | bool

    async def schema(self) -> Any:
        """Return the schema; raises ValueError if there is none, and errors of the request."""
        status, body = await self._get("/schema.json")
        if status != HTTPStatus.OK:
            raise ValueError(f"/schema.json is answered with {status}")
        try:
            return json.loads(body)
        except ValueError:
            raise ValueError("/schema.json is not JSON: this is not a BentoML server") from None

    async def version(self) -> str | None:
        """Return the version of the served Bento; None if it is unknown."""
        status, body = await self._get("/docs.json")
        if status != HTTPStatus.OK:
            return None
        try:
            version = json.loads(body)["info"]["version"]
        except (ValueError, LookupError, TypeError):
            return None
        return None if version in (None, "", "None") else str(version)

    async def _get(self, path: str) -> tuple[int, bytes]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        async with self.session.get(
            self.url + path, headers=headers, allow_redirects=False, ssl=self.tls
        ) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > _MAX_BYTES:
                    raise ValueError(f"{path} is longer than {_MAX_BYTES} bytes")
            return response.status, bytes(body)
