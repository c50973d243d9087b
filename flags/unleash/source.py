"""The flag sources, an Unleash server and a file, and the looks at them."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
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

_MIB: Final = 2**20
_MOST: Final = 64 * _MIB
"""Of an answer with flags: some 200,000 of them."""
_CLIENT_SPEC: Final = "6.1.0"
"""Of https://github.com/Unleash/client-specification: the server then sends segments apart."""


@dataclass(frozen=True, slots=True)
class FlagFile:
    """Flags in a client-features JSON file on this machine."""

    path: Path
    refresh_interval: int = 1
    """Seconds between looks at the file."""

    @property
    def where(self) -> str:
        """Name the source in a message."""
        return f"the flags file {self.path}"


@dataclass(frozen=True)
class FlagServer:
    """Flags of an Unleash server; the token decides the environment."""

    url: str
    """Address of the API, e.g. `http://127.0.0.1:4242/api`."""
    token: str
    app_name: str = "bentoml-flags"
    refresh_interval: int = 2
    request_timeout: int = 2
    """Seconds for one request, to its last byte; none is repeated before the next refresh."""
    cache: Path | None = None
    """Folder for the last good flags, used when the server is down at the start."""
    bootstrap: Path | None = None
    """File with flags for the first start without a server."""

    @property
    def where(self) -> str:
        """Name the source in a message."""
        return without_credentials(self.url)

    def __repr__(self) -> str:
        return f"FlagServer(url={self.where!r}, token='***')"


class FileLooks:
    """Look at a flags file."""

    def __init__(self, source: FlagFile) -> None:
        self._path = source.path
        self._where = source.where
        self._seen: tuple[int, int, int] | None = None
        self._last: FlagDocument | None = None

    def kept(self) -> FlagDocument | None:
        """Return flags from before; a file has none."""
        return None

    def look(self) -> FlagDocument | None:
        """Return new flags, None if they are as they were; FlagSourceError if they are bad."""
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if stamp == self._seen:
                return None
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._seen = None
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise FlagsFileError(f"{self._where} cannot be read: {reason}") from None
        self._last = FlagDocument.parse(text, self._where, self._last)
        self._seen = stamp
        return self._last

    def close(self) -> None:
        """Nothing is open."""


class ServerLooks:
    """Ask a server for its flags, and keep its last good answer in a folder if there is one."""

    def __init__(self, source: FlagServer) -> None:
        self._source = source
        self._session = unleash_session(source)
        self._etag = ""
        self._last: FlagDocument | None = None
        self._kept = KeptFlags(source)

    def kept(self) -> FlagDocument | None:
        """Return the last good flags of an earlier run, or those of the bootstrap file."""
        self._last = self._kept.load()
        return self._last

    def look(self) -> FlagDocument | None:
        """Return new flags, None if they are as they were; FlagSourceError if there are none."""
        where = self._source.where
        answer = self._answer()
        if answer.status == 304:
            return None
        if answer.status != 200:
            raise FlagSourceError(f"{where} answers with status {answer.status}")
        if not answer.whole:
            raise FlagSourceError(f"{where} answers with more than {_MOST // _MIB} MiB")
        text = answer.text
        if self._last is None or text != self._last.text:
            # The ETag of a refused answer would turn the repaired one into a 304: not kept.
            self._last = FlagDocument.parse(text, f"the answer of {where}", self._last)
            self._kept.store(text)
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
                max_bytes=_MOST,
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
        except (requests.RequestException, UnicodeError):  # its message may quote the token
            raise FlagSourceError(f"{source.where} does not answer") from None


def unleash_session(source: FlagServer) -> BoundedSession:
    """Return connections that say who asks, as Unleash's SDKs do."""
    session = BoundedSession()
    session.session.auth = _as_it_is  # or ~/.netrc would replace the token
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


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class KeptFlags:
    """The last good answer of a server, on disk.

    The file is named after the server's address and a digest of the token, since a token stands
    for an environment: two environments never share a file. The token itself is not stored.
    """

    def __init__(self, source: FlagServer) -> None:
        digest = hashlib.sha256(f"{source.url}\n{source.token}".encode()).hexdigest()[:16]
        self._path = source.cache / f"flags-{digest}.json" if source.cache else None
        self._bootstrap = source.bootstrap

    def load(self) -> FlagDocument | None:
        """Return what is kept, or else what the bootstrap file holds."""
        for path in (self._path, self._bootstrap):
            if path is not None and (document := _document_in(path)):
                return document
        return None

    def store(self, text: str) -> None:
        """Keep a good answer, in one step; a folder that cannot be written is logged."""
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


def looks_at(source: FlagFile | FlagServer) -> FileLooks | ServerLooks:
    """Return what looks at the source."""
    return FileLooks(source) if isinstance(source, FlagFile) else ServerLooks(source)
