"""URLs of engines: what they may be, and what of them is shown."""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from ibis.util import backend_entry_points

SPARK: Final = "spark"
TABLE: Final = "table"


class PlaceError(Exception):
    """Say why there is no table at a URL; the message holds no password."""


def shown_url(url: str) -> str:
    """Return a URL as it is shown: no user or password, and of its query table and folder only."""
    try:
        parts = urlsplit(url)
    except ValueError:  # of no engine either
        return url.partition("?")[0].rpartition("@")[2]
    shown = [(key, value) for key, value in parse_qsl(parts.query) if key in (TABLE, "folder")]
    # Not by `urlunsplit`: it leaves the slashes of an empty host away.
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"{place}?{urlencode(shown, safe='/:')}" if shown else place


def checked(url: str) -> SplitResult:
    """Return the parts of a URL. Raises PlaceError if it is none, or of nothing that is known."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise PlaceError(f"that is no URL: {error}") from error
    if parts.scheme not in (SPARK, "postgresql", *(each.name for each in backend_entry_points())):
        known = "clickhouse, trino, spark, duckdb, or another one that ibis connects to"
        raise PlaceError(f"no engine goes by {parts.scheme or 'no name'}://; there are {known}")
    return parts


def is_url(place: object) -> bool:
    """Say whether a place is a URL, and not a path."""
    return isinstance(place, str) and "://" in place
