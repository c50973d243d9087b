"""What a BentoML server says of itself: its schema, and the version of its Bento."""

import json
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

_LONGEST: Final = 8 * 2**20
"""Bytes of a document."""


@dataclass(frozen=True, slots=True)
class ServerDocuments:
    """The documents of the server at `url`."""

    session: aiohttp.ClientSession
    url: str
    token: str | None
    tls: ssl.SSLContext | bool

    async def schema(self) -> Any:
        """Return its schema; raises ValueError where it has none, and what a request raises."""
        status, body = await self._got("/schema.json")
        if status != HTTPStatus.OK:
            raise ValueError(f"/schema.json is answered with {status}")
        try:
            return json.loads(body)
        except ValueError:
            raise ValueError("/schema.json is not JSON: this is not a BentoML server") from None

    async def version(self) -> str | None:
        """Return the version of the Bento that is served; None where nobody says so."""
        status, body = await self._got("/docs.json")
        if status != HTTPStatus.OK:
            return None
        try:
            version = json.loads(body)["info"]["version"]
        except (ValueError, LookupError, TypeError):
            return None
        return None if version in (None, "", "None") else str(version)

    async def _got(self, path: str) -> tuple[int, bytes]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        async with self.session.get(
            self.url + path, headers=headers, allow_redirects=False, ssl=self.tls
        ) as response:
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > _LONGEST:
                    raise ValueError(f"{path} is longer than {_LONGEST} bytes")
            return response.status, bytes(body)
