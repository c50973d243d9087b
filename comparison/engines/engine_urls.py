"""URLs of engines: parse them, and show them without secrets."""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from ibis.util import backend_entry_points

SPARK: Final = "spark"
TABLE: Final = "table"


class PlaceError(Exception):
    """A URL leads to no table; the message says why, without a password."""


def shown_url(url: str) -> str:
    """Return a URL without user and password; of its query, only table and folder are kept."""
    try:
        parts = urlsplit(url)
    except ValueError:  # not the URL of an engine
        return url.partition("?")[0].rpartition("@")[2]
    shown = [(key, value) for key, value in parse_qsl(parts.query) if key in (TABLE, "folder")]
    # Not by `urlunsplit`: it drops the slashes of an empty host.
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"{place}?{urlencode(shown, safe='/:')}" if shown else place


def parse_engine_url(url: str) -> SplitResult:
    """Parse the URL of an engine. Raises PlaceError if it is no URL, or of no known engine."""
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
    """Return whether a place is a URL rather than a path."""
    return isinstance(place, str) and "://" in place
