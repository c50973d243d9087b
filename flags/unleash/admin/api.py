"""HTTP requests to Unleash's Admin API; every failure is a named error."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import requests

from flags.unleash.admin.errors import (
    AdminError,
    ItemMissingError,
    NameTakenError,
    NotUnleashError,
    RateLimitedError,
    RequestRefusedError,
    TokenRefusedError,
    UnleashFailedError,
    UnleashUnreachableError,
)

_LOOPBACK: Final = ("http://127.", "http://localhost", "http://[::1]")
_MESSAGE_LENGTH: Final = 300


class TokenAuth(requests.auth.AuthBase):
    """Send the token; given as `auth`, a ~/.netrc entry for the host cannot replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header to the request."""
        request.headers["Authorization"] = self._token
        return request


class AdminApi:
    """One Admin API; `url` with or without the `/api` that SDKs want. Not for several threads."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        self.url = _without_password(url.strip()).rstrip("/").removesuffix("/api")
        self._token = token.strip()
        self._timeout = timeout
        if not self.url.startswith(("http://", "https://")):
            raise UnleashUnreachableError(f"{self.url!r} is no http or https URL")
        # Said here, because the error of the HTTP library would quote the token.
        if not self._token.isascii() or not self._token.isprintable() or not self._token:
            raise TokenRefusedError(
                "the admin token is empty or holds characters that no token has"
            )
        self._session = requests.Session()
        self._session.auth = TokenAuth(self._token)
        self._session.trust_env = not self.url.startswith(_LOOPBACK)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        *path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the JSON of the answer, None where it is empty; every failure is an AdminError.

        Segments of `path` are quoted. Redirects are not followed: they would turn POST into GET.
        """
        address = "/".join([self.url, "api/admin", *(quote(segment, safe="") for segment in path)])
        try:
            response = self._session.request(
                method,
                address,
                json=body,
                params=query,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise UnleashUnreachableError(
                f"no Unleash answers at {self.url} ({type(error).__name__})"
            ) from None
        content = self._content(response)
        if response.status_code >= 400:
            raise self._refusal(response.status_code, content)
        return content

    def _content(self, response: requests.Response) -> Any:
        """Return the parsed body; an Unleash answers JSON, or nothing, whatever the status."""
        status = response.status_code
        if 300 <= status < 400:
            raise NotUnleashError(
                f"{self.url} redirects (status {status}) to "
                f"{self._without_token(response.headers.get('Location', 'nowhere'))}: give the "
                "address behind it"
            )
        if not response.content:
            return None
        try:
            return response.json()
        except requests.JSONDecodeError:
            if status == 429 or status >= 500:
                return None  # a page of words: the status says enough
            raise NotUnleashError(
                f"{self.url} answers {response.headers.get('Content-Type', 'no type')} "
                f"(status {status}) where Unleash's Admin API answers JSON"
            ) from None

    def _refusal(self, status: int, content: Any) -> AdminError:
        message = self._message(content)
        if status == 401:
            return TokenRefusedError(f"{self.url} does not know this admin token (401)")
        if status == 403 and "different token type" in message:
            return TokenRefusedError(
                f"{self.url} knows this token, but it is no admin token (403): "
                "a client (backend) token reads flags and cannot change them"
            )
        if status == 403:
            return TokenRefusedError(f"{self.url} does not allow this token to do that: {message}")
        if status == 429:
            return RateLimitedError(f"{self.url} wants fewer requests (429): wait a minute")
        if status >= 500:
            return UnleashFailedError(f"{self.url} failed (status {status}): {message}")
        kinds = {404: ItemMissingError, 409: NameTakenError}
        return kinds.get(status, RequestRefusedError)(f"{self.url} refuses ({status}): {message}")

    def _message(self, content: Any) -> str:
        """Return what Unleash says, its details first: its `message` often only points at them."""
        if not isinstance(content, dict):
            return "no reason given"
        details = content.get("details")
        said = [str(d.get("message")) for d in details or () if isinstance(d, dict)]
        text = "; ".join(said) or str(content.get("message", "no reason given"))
        return self._without_token(text).splitlines()[0][:_MESSAGE_LENGTH]

    def _without_token(self, text: str) -> str:
        return text.replace(self._token, "***")


def _without_password(url: str) -> str:
    """Return `url` without user and password: the token goes in their place, and it is shown."""
    return re.sub(r"^(\w+://)?[^/]*@", r"\1", url)
