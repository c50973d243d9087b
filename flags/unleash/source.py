"""The flag sources, an Unleash server and a file, and the objects that poll them."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

import requests
from requests.exceptions import (
    ChunkedEncodingError,
    InvalidHeader,
    InvalidSchema,
    InvalidURL,
    MissingSchema,
)

from flags.bounded_http import Answer, BoundedSession
from flags.errors import FlagDocumentError, FlagsFileError, FlagSourceError
from flags.files import replace_file
from flags.printable import without_credentials
from flags.unleash.document import FlagDocument

logger = logging.getLogger(__name__)

FEATURES: Final = "/client/features"

_MAX_MIB: Final = 64
_MAX_BYTES: Final = _MAX_MIB * 2**20
"""Maximum size of an answer or a file: some 200,000 flags."""
_CLIENT_SPEC: Final = "6.1.0"
"""Version of https://github.com/Unleash/client-specification with which the server sends segments
separately from flags."""


@dataclass(frozen=True, slots=True)
class FlagFile:
    """Flags in a client-features JSON file on this machine."""

    path: Path
    refresh_interval: int = 1
    """Seconds between two polls of the file."""

    @property
    def where(self) -> str:
        """Name the source in a message."""
        return f"the flags file {self.path}"


@dataclass(frozen=True)
class FlagServer:
    """Flags of an Unleash server; the token determines the environment."""

    url: str
    """Address of the API, e.g. `http://127.0.0.1:4242/api`."""
    token: str
    app_name: str = "bentoml-flags"
    refresh_interval: int = 2
    request_timeout: int = 2
    """Seconds for one request, to its last byte; it is not retried before the next refresh."""
    cache: Path | None = None
    """Folder for the last valid flags, used if the server is down at the start."""
    bootstrap: Path | None = None
    """File with flags for a first start while the server is down."""

    @property
    def where(self) -> str:
        """Name the source in a message."""
        return without_credentials(self.url)

    def __repr__(self) -> str:
        return f"FlagServer(url={self.where!r}, token='***')"


class FilePoller:
    """A reader of a flags file that parses it only if it has changed."""

    def __init__(self, source: FlagFile) -> None:
        self._path = source.path
        self._where = source.where
        self._stamp: tuple[int, int, int] | None = None
        self._last: FlagDocument | None = None

    def cached(self) -> FlagDocument | None:
        """Return None: the flags of a file are not cached."""
        return None

    def poll(self) -> FlagDocument | None:
        """Return new flags, or None if they have not changed. Raises FlagSourceError."""
        try:
            stat = self._path.stat()
            is_endless = not (S_ISREG(stat.st_mode) or S_ISDIR(stat.st_mode))
            if is_endless or stat.st_size > _MAX_BYTES:
                self._stamp = None
                raise FlagsFileError(f"{self._where} is not a file of at most {_MAX_MIB} MiB")
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if stamp == self._stamp:
                return None
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._stamp = None
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise FlagsFileError(f"{self._where} cannot be read: {reason}") from None
        self._last = FlagDocument.parse(text, self._where, self._last)
        self._stamp = stamp
        return self._last

    def close(self) -> None:
        """Do nothing: no file stays open."""


class ServerPoller:
    """A client that polls a server for flags and caches the last valid answer in a file."""

    def __init__(self, source: FlagServer) -> None:
        self._source = source
        self._session = unleash_session(source)
        self._etag = ""
        self._last: FlagDocument | None = None
        self._cache = FlagCache(source)

    def cached(self) -> FlagDocument | None:
        """Return the last valid flags of an earlier run, or the flags of the bootstrap file."""
        self._last = self._cache.load()
        return self._last

    def poll(self) -> FlagDocument | None:
        """Return new flags, or None if they have not changed. Raises FlagSourceError."""
        where = self._source.where
        answer = self._answer()
        if answer.status == 304 and self._etag:  # else nothing was asked that 304 could answer
            return None
        if answer.status != 200:
            raise FlagSourceError(f"{where} answers with status {answer.status}")
        if not answer.whole:
            raise FlagSourceError(f"{where} answers with more than {_MAX_MIB} MiB")
        text = answer.text
        if self._last is None or text != self._last.text:
            # Parsed before its ETag is stored: an invalid answer must not come back as a 304.
            self._last = FlagDocument.parse(text, f"the answer of {where}", self._last)
            self._cache.store(text)
        self._etag = answer.headers.get("ETag", "")
        return self._last

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _answer(self) -> Answer:
        source = self._source
        try:
            return self._session.request(
                "GET",
                source.url.rstrip("/") + FEATURES,
                seconds=source.request_timeout,
                max_bytes=_MAX_BYTES,
                allow_redirects=True,
                headers={"If-None-Match": self._etag} if self._etag else {},
            )
        except InvalidHeader:  # its message quotes the token
            raise FlagSourceError(
                f"{source.where} cannot be asked: no header can hold the token"
            ) from None
        except (MissingSchema, InvalidSchema, InvalidURL) as error:
            reason = without_credentials(str(error))
            raise FlagSourceError(f"{source.where} cannot be asked: {reason}") from None
        except ChunkedEncodingError:
            raise FlagSourceError(f"{source.where} breaks its answers off") from None
        except (requests.RequestException, ValueError):  # its message may quote the token
            raise FlagSourceError(f"{source.where} does not answer") from None


def unleash_session(source: FlagServer) -> BoundedSession:
    """Return a session with the token and the headers that Unleash's SDKs send."""
    session = BoundedSession()
    session.session.auth = _no_auth  # or ~/.netrc would replace the token
    session.session.headers.update(
        {
            "Authorization": source.token,
            "Content-Type": "application/json",
            "Unleash-Client-Spec": _CLIENT_SPEC,
            "unleash-appname": source.app_name,
            "unleash-instanceid": INSTANCE,
            "unleash-sdk": SDK,
            "unleash-interval": str(source.refresh_interval * 1000),
        }
    )
    return session


INSTANCE: Final = f"bentoml-flags-{os.uname().nodename}"
SDK: Final = "bentoml-flags"


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class FlagCache:
    """A file with the last valid answer of a server.

    Its name is a digest of the server's address and the token. A token belongs to one environment,
    so two environments never share a file. The token itself is not stored.
    """

    def __init__(self, source: FlagServer) -> None:
        digest = hashlib.sha256(f"{source.url}\n{source.token}".encode()).hexdigest()[:16]
        self._path = source.cache / f"flags-{digest}.json" if source.cache else None
        self._bootstrap = source.bootstrap

    def load(self) -> FlagDocument | None:
        """Return the cached flags, else the flags of the bootstrap file."""
        for path in (self._path, self._bootstrap):
            if path is not None and (document := _document_in(path)):
                return document
        return None

    def store(self, text: str) -> None:
        """Store a valid answer atomically; a failure is logged."""
        if self._path is None:
            return
        try:
            replace_file(self._path, text.encode(), mode=0o600)
        except OSError as error:
            logger.warning("the flags could not be kept in %s: %s", self._path, error.strerror)


def _document_in(path: Path) -> FlagDocument | None:
    try:
        return FlagDocument.parse(path.read_text(encoding="utf-8"), f"the flags in {path}")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, FlagDocumentError) as error:
        logger.warning("flags kept in %s are not used: %s", path, error)
        return None


def poller(source: FlagFile | FlagServer) -> FilePoller | ServerPoller:
    """Return the poller of a source."""
    return FilePoller(source) if isinstance(source, FlagFile) else ServerPoller(source)
