"""An HTTP server that answers in JSON, asked within a time limit."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from flags.bounded_http import Answer, BoundedSession, is_loopback
from flags.errors import AlarmUnknownError
from flags.printable import printable, without_credentials

_MAX_BYTES: Final = 8 * 2**20
"""Maximum size of an answer."""
_QUOTED_LENGTH: Final = 200
"""Characters of a message that are quoted."""


class _Bearer(requests.auth.AuthBase):
    """A `requests` authentication by bearer token; a plain header could be replaced by ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class AlarmServer:
    """A client of one server; token, user and password never appear in messages."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.strip().rstrip("/")
        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AlarmUnknownError("its address is not an http or https URL")
        self.name = f"{parts.scheme}://{without_credentials(parts.netloc)}"
        """Scheme, host and port, without the path, which may be a webhook's secret."""
        self._session = BoundedSession()
        self._session.session.trust_env = not is_loopback(self._url)
        if token or not parts.username:
            self._session.session.auth = _Bearer(token)

    def get(self, path: str, parameters: Mapping[str, Any], seconds: float) -> Answer:
        """Return the answer to a GET, whatever its status. Raises AlarmUnknownError."""
        try:
            answer = self._session.request(
                "GET",
                self._url + path,
                seconds=seconds,
                max_bytes=_MAX_BYTES,
                params=parameters,
                headers={"Accept": "application/json"},
            )
        except requests.Timeout as error:
            raise AlarmUnknownError(f"{self.name} has not answered: {_end(error)}") from None
        except (requests.RequestException, OSError, ValueError) as error:
            kind = type(error).__name__
            raise AlarmUnknownError(f"{self.name} cannot be asked ({kind})") from None
        if not answer.whole:
            raise AlarmUnknownError(f"{self.name} answers more than {_MAX_BYTES:,} bytes")
        return answer

    def json(self, answer: Answer) -> Any:
        """Return the parsed body of a successful answer. Raises AlarmUnknownError."""
        if answer.status != 200:
            text = quoted(answer.text)
            kind = answer.headers.get("Content-Type", "")
            detail = f": {text}" if text and "html" not in kind and "<" not in text[:1] else ""
            raise AlarmUnknownError(f"{self.name} answers with status {answer.status}{detail}")
        try:
            return answer.json()
        except (ValueError, RecursionError):
            kind = quoted(answer.headers.get("Content-Type", "")) or "without a content type"
            raise AlarmUnknownError(f"the answer of {self.name} ({kind}) is not JSON") from None

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def quoted(text: object) -> str:
    """Return the beginning of a server's message, safe to print."""
    return printable(" ".join(str(text).split()), _QUOTED_LENGTH)


def _end(error: requests.Timeout) -> str:
    return str(error) or "too slow"
