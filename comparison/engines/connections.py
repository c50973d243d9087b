"""Connections to engines by URL; user and password may come from environment variables.

clickhouse://host:8123/database      CLICKHOUSE_USER, CLICKHOUSE_PASSWORD
trino://host:8080/catalog/schema     TRINO_USER, TRINO_PASSWORD
spark://host:7077, spark://local     Spark's own configuration
duckdb:///file.db, sqlite:///file.db
any other URL that `ibis.connect` takes
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

_FILE_ENGINES: Final = ("duckdb", "sqlite")
"""Engines that would create a missing file."""

_CREDENTIALS: Final = {
    "clickhouse": ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"),
    "trino": ("TRINO_USER", "TRINO_PASSWORD"),
}

_EXTRAS: Final = ("clickhouse", SPARK, "trino")
"""Extras of this package; each has the name of the URL scheme that needs it."""

_ENGINE_MODULES: Final = frozenset(
    {"clickhouse_connect", "duckdb", "grpc", "ibis", "py4j", "pyspark", "sqlite3", "trino"}
)
"""Packages whose exceptions are errors of an engine."""

_JAVA_PREFIX: Final = "An error occurred while calling"
_ACCESS_DENIED: Final = (
    "uthentication",
    "AUTHENTICATION",
    "ccess denied",
    "ACCESS_DENIED",
    "403",
    "401",
)


def connect_to(url: str) -> Any:
    """Connect ibis to the engine at a URL. Raises PlaceError."""
    parts = urlsplit(url)
    try:
        if parts.scheme == SPARK:
            from comparison.engines.spark_session import connect

            return connect(parts.netloc)
        if parts.scheme in _FILE_ENGINES and not Path(parts.netloc + parts.path).is_file():
            raise PlaceError("there is no such file")
        # The client logs a failure that its exception reports as well.
        logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
        return _opened(parts)
    except ImportError as error:
        raise PlaceError(_not_installed(parts.scheme, error)) from error
    except PlaceError:
        raise
    except Exception as error:  # each engine's client has errors of its own
        raise PlaceError(error_text(url, error)) from error


def error_text(url: str, error: BaseException) -> str:
    """Return an engine's error in one line, without secrets; say where credentials come from."""
    parts = urlsplit(url)
    if parts.hostname and parts.scheme != SPARK and (reason := _network_error(error)):
        return f"nothing answers at {parts.netloc.rpartition('@')[2]} ({reason})"
    lines = str(error).splitlines() or [""]
    # The first line of a Java error names only the client's call; the second is the message.
    message = lines[1] if lines[0].startswith(_JAVA_PREFIX) and len(lines) > 1 else lines[0]
    text = f"{type(error).__name__}: {message.removeprefix(': ')}"
    text = without_secrets(text, parts.password, unquote(parts.password or ""))
    variables = _CREDENTIALS.get(parts.scheme)
    if variables and any(word in text for word in _ACCESS_DENIED):
        return f"{text}; user and password are those of {' and '.join(variables)}, or of the URL"
    return text


def _network_error(error: BaseException | None) -> str | None:
    """Return the network error that caused a client's exception; None if there is none."""
    while error is not None:
        if isinstance(error, ConnectionError | socket.gaierror | TimeoutError):
            return error.strerror or str(error)
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def engine_errors(place: str | Path) -> Iterator[None]:
    """Turn an engine's exception into an error of this package that says what to do.

    For a URL it is PlaceUnreadableError; for a folder MemoryLackingError, or
    CompactionUnreadableError if a file is damaged.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0].lstrip("_") not in _ENGINE_MODULES:
            raise
        if is_url(place):
            raise PlaceUnreadableError(
                shown_url(str(place)), error_text(str(place), error)
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise MemoryLackingError(place, memory_limit()) from error
        if isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
            raise CompactionUnreadableError(Path(place), error_text(str(place), error)) from error
        raise


def _opened(parts: SplitResult) -> Any:
    """Connect with user and password from the URL, else from the environment."""
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
    """Connect to Trino with a password; ibis does not pass it as Trino's client needs it."""
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
    reason = str(error).partition("\n")[0]
    if scheme in _EXTRAS:
        return (
            f"what connects to it is not installed ({reason}): it comes with the extra `{scheme}` "
            f"of bentoml-flags (in a clone: pip install '.[comparison,{scheme}]')"
        )
    extra = scheme.replace("postgresql", "postgres")
    return f"what connects to it is not installed: {reason} (pip install 'ibis-framework[{extra}]')"
