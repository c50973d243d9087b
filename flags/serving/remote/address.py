"""The address of a candidate that is a deployment of its own."""

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from flags.errors import MigrationError

_SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Remote:
    """A BentoML server that is the candidate; the service can start without it.

    `url` is its base address, above `/schema.json` and the APIs. `name` is the model's tag in the
    pairs until the server has reported its own; by default host and port. With
    `forward_credentials`, the server gets the caller's `Authorization` and `Cookie` headers.

    Raises MigrationError for a malformed address.
    """

    url: str
    name: str | None = None
    forward_credentials: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _checked(self.url))

    def at(self, url: str | None) -> "Remote":
        """Return this candidate at `url`; unchanged if `url` is None or empty."""
        return replace(self, url=url) if url else self

    @property
    def label(self) -> str:
        """Return the model's tag for a server that does not report one."""
        return self.name or urlsplit(self.url).netloc


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except (ValueError, TypeError, AttributeError) as error:
        raise MigrationError(f"the candidate's address {url!r} is not a URL: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise MigrationError(
            "the candidate's address holds credentials: leave them out, and set CANDIDATE_TOKEN"
        )
    if parts.scheme not in _SCHEMES or not host:
        raise MigrationError(
            f"the candidate's address is {url!r}: it must be like http://fraud-v2:3000"
        )
    if parts.query or parts.fragment:
        raise MigrationError(
            f"the candidate's address {url!r} has a query or a fragment: leave them out"
        )
    return url.rstrip("/")
