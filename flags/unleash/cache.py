"""The cache of the Unleash client: the flags file, or the last good answer of the server.

The client reads and writes its flags through a cache object, which is its public extension point.
Validating there, before the engine sees anything, is what keeps the last good state when a file
is edited badly or a server sends nonsense.
"""

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from UnleashClient.cache import BaseCache
from UnleashClient.constants import ETAG, FEATURES_URL

from flags.errors import FlagDocumentError, FlagsFileError
from flags.unleash.document import FlagDocument

logger = logging.getLogger(__name__)

Loaded = Callable[[FlagDocument | None, str | None], None]
"""Called after each look at the source: with a new document or None, and with an error or None."""


def without_password(url: str) -> str:
    """Return `url` without the user and password that it may hold."""
    return re.sub(r"//[^/\s]*@", "//", url)


class _Memory(BaseCache):
    """Keep what the client stores; subclasses decide where the flags come from."""

    def __init__(self, loaded: Loaded) -> None:
        self._values: dict[str, Any] = {}
        self._loaded = loaded

    def set(self, key: str, value: Any) -> None:
        """Store one value."""
        self._values[key] = value

    def mset(self, data: dict[str, Any]) -> None:
        """Store several values."""
        for key, value in data.items():
            self.set(key, value)

    def get(self, key: str, default: Any | None = None) -> Any:
        """Return a value, or `default`."""
        return self._values.get(key, default)

    def exists(self, key: str) -> bool:
        """Say whether a value is stored."""
        return key in self._values

    def destroy(self) -> None:
        """Forget everything."""
        self._values.clear()


class FlagsFile(_Memory):
    """Read the flags from a file on each look; keep the last good content through a bad edit."""

    def __init__(self, path: Path, loaded: Loaded) -> None:
        super().__init__(loaded)
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def get(self, key: str, default: Any | None = None) -> Any:
        """Return the flags as JSON text; None before the first good content."""
        if key != FEATURES_URL:
            return super().get(key, default)
        try:
            self._look()
        except FlagsFileError as error:
            self._loaded(None, str(error))
        return super().get(key, default)

    def _look(self) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if stamp == self._seen:
                self._loaded(None, None)
                return
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._seen = None
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise FlagsFileError(f"the flags file {self._path} cannot be read: {reason}") from None
        try:
            document = FlagDocument.parse(text, f"the flags file {self._path}")
        except FlagDocumentError as error:
            raise FlagsFileError(str(error)) from None
        self.set(FEATURES_URL, text)
        self._seen = stamp
        self._loaded(document, None)


class LastKnownGood(_Memory):
    """Keep the last good answer of the server, on disk as well when a folder is given.

    The file is named after the server's address and a digest of the token, since a token stands
    for an environment: two environments never share a file. The token itself is not stored.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        url: str,
        token: str,
        folder: Path | None = None,
        bootstrap: Path | None = None,
    ) -> None:
        super().__init__(loaded)
        self._where = without_password(url)
        self._refused = False
        self._arrived: FlagDocument | None = None
        digest = hashlib.sha256(f"{url}\n{token}".encode()).hexdigest()[:16]
        self._path = folder / f"flags-{digest}.json" if folder else None
        for path in (self._path, bootstrap):
            if path is not None and self._load(path):
                self.bootstrapped = True
                break

    def set(self, key: str, value: Any) -> None:
        """Store a value; flags only if they are valid, and their ETag only with them."""
        if key == FEATURES_URL:
            self._take(value)
        elif not (key == ETAG and self._refused):
            # The ETag of a refused answer would turn the repaired one into a 304: not kept.
            super().set(key, value)

    def get(self, key: str, default: Any | None = None) -> Any:
        """Return a value; with the flags, the client's engine gets them next, so tell of them."""
        if key == FEATURES_URL and self._arrived is not None:
            arrived, self._arrived = self._arrived, None
            self._loaded(arrived, None)
        return super().get(key, default)

    def _take(self, text: str) -> None:
        try:
            document = FlagDocument.parse(text, f"the answer of {self._where}")
        except FlagDocumentError as error:
            self._refused = True
            self._loaded(None, str(error))
            return
        self._refused = False
        super().set(FEATURES_URL, text)
        # Their own ETag comes next, if the server sends one. An older one that stayed would make a
        # 304 of the answer that brings the older flags back.
        super().set(ETAG, "")
        self._arrived = document
        if self._path is not None:
            self._store(self._path, text)

    def _load(self, path: Path) -> bool:
        try:
            text = path.read_text(encoding="utf-8")
            document = FlagDocument.parse(text, f"the flags in {path}")
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError, FlagDocumentError) as error:
            logger.warning("flags kept in %s are not used: %s", path, error)
            return False
        super().set(FEATURES_URL, text)
        self._loaded(document, None)
        return True

    def _store(self, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(temporary, path)
            except OSError:
                os.unlink(temporary)
                raise
        except OSError as error:
            logger.warning("the flags could not be kept in %s: %s", path, error.strerror)
