"""HTTP requests to Unleash's Admin API; every failure becomes an AdminError."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import requests

from flags.bounded_http import Answer, BoundedSession, is_loopback
from flags.printable import printable, without_credentials
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

_Value = TypeVar("_Value")

_MESSAGE_LENGTH: Final = 300
_MAX_BYTES: Final = 64 * 2**20
"""Maximum size of an answer; a page of 500 events of large flags has several MiB."""


_PARSE_ERRORS: Final = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)
_ERROR_LENGTH: Final = 200
"""Characters of a quoted error."""


class TokenAuth(requests.auth.AuthBase):
    """A `requests` authentication by token; with it, `requests` does not read ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header to the request."""
        request.headers["Authorization"] = self._token
        return request


class AdminApi:
    """A client of one Admin API, not thread-safe; `url` may end with the `/api` that SDKs need."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        self.url = without_credentials(url.strip()).rstrip("/").removesuffix("/api")
        self._token = token.strip()
        self._timeout = timeout
        if not self.url.startswith(("http://", "https://")):
            raise UnleashUnreachableError(f"{self.url!r} is not an http or https URL")
        # Checked here, because the error of the HTTP library would quote the token.
        if not self._token.isascii() or not self._token.isprintable() or not self._token:
            raise TokenRefusedError(
                "the admin token is empty or holds characters that no token has"
            )
        self.answered_at: datetime | None = None
        """Time of the last answer by the server's clock, to the second."""
        self._session = BoundedSession()
        self._session.session.auth = TokenAuth(self._token)
        self._session.session.trust_env = not is_loopback(self.url)

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
        """Return the parsed answer, None if it is empty. Raises AdminError.

        Segments of `path` are quoted. Redirects are not followed: they would turn POST into GET.
        """
        address = "/".join([self.url, "api/admin", *(quote(segment, safe="") for segment in path)])
        try:
            answer = self._session.request(
                method,
                address,
                seconds=self._timeout,
                max_bytes=_MAX_BYTES,
                json=body,
                params=query,
            )
        except (requests.RequestException, UnicodeError) as error:
            raise UnleashUnreachableError(
                f"no Unleash answers at {self.url} ({type(error).__name__})"
            ) from None
        self.answered_at = _date(answer.headers.get("Date"))
        content = self._content(answer)
        if answer.status >= 400:
            raise self._refusal(answer.status, content)
        return content

    def read(self, parse: Callable[[], _Value]) -> _Value:
        """Return `parse()`; its errors become NotUnleashError: the answer has another format."""
        try:
            return parse()
        except _PARSE_ERRORS as error:
            why = printable(f"{type(error).__name__}: {error}", _ERROR_LENGTH)
            raise NotUnleashError(
                f"{self.url} answers JSON that is not Unleash's ({why})"
            ) from None

    def _content(self, answer: Answer) -> Any:
        """Return the parsed body. Unleash always answers JSON, or an empty body."""
        status = answer.status
        if 300 <= status < 400:
            raise NotUnleashError(
                f"{self.url} redirects (status {status}) to "
                f"{self._without_token(answer.headers.get('Location', 'nowhere'))}: give the "
                "address behind it"
            )
        if not answer.body or status == 204:
            return None
        if not answer.whole:
            raise NotUnleashError(f"{self.url} answers with more than {_MAX_BYTES // 2**20} MiB")
        try:
            return answer.json()
        except (ValueError, RecursionError):
            if status == 429 or status >= 500:
                return None  # an HTML page: the status says enough
            raise NotUnleashError(
                f"{self.url} answers {answer.headers.get('Content-Type', 'no type')} "
                f"(status {status}) where Unleash's Admin API answers JSON"
            ) from None

    def _refusal(self, status: int, content: Any) -> AdminError:
        message = self._message(content)
        if status == 401:
            return TokenRefusedError(f"{self.url} does not know this admin token (401)")
        if status == 403 and "different token type" in message:
            return TokenRefusedError(
                f"{self.url} knows this token, but it is not an admin token (403): "
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
        """Return Unleash's details, else its `message`, which often only refers to the details."""
        if not isinstance(content, dict):
            return "no reason given"
        details = content.get("details")
        details = details if isinstance(details, list) else []
        messages = [str(each.get("message")) for each in details if isinstance(each, dict)]
        text = "; ".join(messages) or str(content.get("message", "no reason given"))
        return printable(self._without_token(text), _MESSAGE_LENGTH)

    def _without_token(self, text: str) -> str:
        return text.replace(self._token, "***")


def _date(header: str | None) -> datetime | None:
    """Return the time of a Date header (RFC 9110, 6.6.1)."""
    try:
        found = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
