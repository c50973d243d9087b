"""Connections to engines by URL, with the user and the password of each engine's environment.

clickhouse://host:8123/database      CLICKHOUSE_USER, CLICKHOUSE_PASSWORD
trino://host:8080/catalog/schema     TRINO_USER, TRINO_PASSWORD
spark://host:7077, spark://local     Spark's own configuration
duckdb:///file.db, sqlite:///file.db
what else `ibis.connect` takes
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import duckdb
import ibis

from comparison.engines.embedded import memory_limit
from comparison.engines.engine_urls import SPARK, TABLE, PlaceError, is_url, shown_url
from comparison.errors import CompactionUnreadableError, MemoryLackingError, PlaceUnreadableError
from comparison.pairs.secrets import without_secrets

_FILES: Final = ("duckdb", "sqlite")
"""Engines that would make a file that is not there."""

_CREDENTIALS: Final = {
    "clickhouse": ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"),
    "trino": ("TRINO_USER", "TRINO_PASSWORD"),
}

_EXTRAS: Final = ("clickhouse", SPARK, "trino")
"""Extras of this package, each named as the scheme that needs it."""

_MODULES: Final = frozenset(
    {"clickhouse_connect", "duckdb", "grpc", "ibis", "py4j", "pyspark", "sqlite3", "trino"}
)
"""Whose errors are those of an engine."""

_OF_JAVA: Final = "An error occurred while calling"
_REFUSED: Final = ("uthentication", "AUTHENTICATION", "ccess denied", "ACCESS_DENIED", "403", "401")


def connected(url: str) -> Any:
    """Return a connection of ibis to the engine at a URL. Raises PlaceError."""
    parts = urlsplit(url)
    try:
        if parts.scheme == SPARK:
            from comparison.engines.spark_session import connect

            return connect(parts.netloc)
        if parts.scheme in _FILES and not Path(parts.netloc + parts.path).is_file():
            raise PlaceError("there is no such file")
        # What the client logs of a failure, its error says as well.
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
        return _opened(parts)
    except ImportError as error:
        raise PlaceError(_not_installed(parts.scheme, error)) from error
    except PlaceError:
        raise
    except Exception as error:  # each engine's client has errors of its own
        raise PlaceError(said(url, error)) from error


def said(url: str, error: BaseException) -> str:
    """Return what an engine said in one line, without secrets, and where credentials are from."""
    parts = urlsplit(url)
    if parts.hostname and parts.scheme != SPARK and (silence := _silence(error)):
        return f"nothing answers at {parts.netloc.rpartition('@')[2]} ({silence})"
    lines = str(error).splitlines() or [""]
    # What Java raised comes behind a line that names a call of its client.
    told = lines[1] if lines[0].startswith(_OF_JAVA) and len(lines) > 1 else lines[0]
    text = f"{type(error).__name__}: {told.removeprefix(': ')}"
    text = without_secrets(text, parts.password, unquote(parts.password or ""))
    named = _CREDENTIALS.get(parts.scheme)
    if named and any(word in text for word in _REFUSED):
        return f"{text}; user and password are those of {' and '.join(named)}, or of the URL"
    return text


def _silence(error: BaseException | None) -> str | None:
    """Return what the machine said of a connection, which clients tell in lines of their own."""
    while error is not None:
        if isinstance(error, ConnectionError | socket.gaierror | TimeoutError):
            return error.strerror or str(error)
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def engine_errors(place: str | Path) -> Iterator[None]:
    """Turn what an engine raises while it counts into an error that says what would be right.

    PlaceUnreadableError for a URL; for a folder MemoryLackingError, and CompactionUnreadableError
    if a file is damaged.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0].lstrip("_") not in _MODULES:
            raise
        if is_url(place):
            raise PlaceUnreadableError(shown_url(str(place)), said(str(place), error)) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise MemoryLackingError(place, memory_limit()) from error
        if isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
            raise CompactionUnreadableError(Path(place), said(str(place), error)) from error
        raise


def _opened(parts: SplitResult) -> Any:
    """Connect as the user of the URL, else of the environment."""
    names = _CREDENTIALS.get(parts.scheme)
    given = [unquote(each) if each else None for each in (parts.username, parts.password)]
    user, password = (
        each or (os.environ.get(name) if name else None)
        for each, name in zip(given, names or (None, None), strict=True)
    )
    options = dict(parse_qsl(parts.query))
    options.pop(TABLE, None)
    if parts.scheme == "trino" and password:
        return _trino(parts, user or "", password, options)
    if parts.scheme == "duckdb":
        options["read_only"] = "true"
    netloc = parts.netloc.rpartition("@")[2]
    if user or password:
        own = [quote(each, safe="") for each in (user or "default", password) if each]
        netloc = f"{':'.join(own)}@{netloc}"
    return ibis.connect(urlunsplit(parts._replace(netloc=netloc, query=urlencode(options))))


def _trino(parts: SplitResult, user: str, password: str, options: dict[str, Any]) -> Any:
    """Connect with a password, of which ibis makes nothing that Trino's client takes."""
    from trino.auth import BasicAuthentication

    catalog, _, schema = parts.path.strip("/").partition("/")
    return ibis.trino.connect(
        user=user,
        auth=BasicAuthentication(user, password),
        host=parts.hostname or "localhost",
        port=parts.port or 443,
        database=catalog or None,
        schema=schema or None,
        **{"http_scheme": "https", **options},
    )


def _not_installed(scheme: str, error: ImportError) -> str:
    said = str(error).partition("\n")[0]
    if scheme in _EXTRAS:
        return (
            f"what connects to it is not installed ({said}): it comes with the extra `{scheme}` "
            f"of bentoml-flags (in a clone: pip install '.[comparison,{scheme}]')"
        )
    extra = scheme.replace("postgresql", "postgres")
    return f"what connects to it is not installed: {said} (pip install 'ibis-framework[{extra}]')"
