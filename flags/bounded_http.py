"""HTTP requests whose whole time and whole answer are limited.

The timeout of `requests` is for connecting to one address, and then for each silence: a server that
sends a byte a second is never silent, a name server that does not answer is not asked by it at all.
Here the limit counts from the call to the last byte of the answer, and an answer is held in memory
up to a number of bytes only, whatever its encoding makes of them.
"""

import ipaddress
import json
import socket
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from urllib3.connection import HTTPConnection, HTTPSConnection

_HANGING: Final = 4
"""Requests that may go on behind our back: what waits for a name server cannot be called off."""

_GZIP_OR_ZLIB: Final = 47
"""`wbits` with which zlib tells both formats by their header."""


def is_loopback(place: str) -> bool:
    """Say whether a host, or that of a URL, is this machine: no proxy leads there."""
    host = place
    try:
        host = urlsplit(place).hostname or "" if "//" in place else place
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Not sensitive to case."""
    body: bytes
    """Decoded, up to the limit."""
    whole: bool
    """False if the answer is longer than the limit."""

    @property
    def text(self) -> str:
        """The body as UTF-8, whatever the answer says of itself."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed body; ValueError or RecursionError if that cannot be done."""
        return json.loads(self.body)


class BoundedSession:
    """Connections that are kept, and requests over them that end in time.

    `session` takes what is common to all requests: headers, `auth`, `trust_env`.
    """

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.headers["Accept-Encoding"] = "gzip"
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter())
        self._hanging: list[threading.Thread] = []

    def request(
        self, method: str, url: str, *, seconds: float, most_bytes: int, **options: Any
    ) -> Answer:
        """Return the answer, or raise a `requests.RequestException` within `seconds`.

        The answer's body is cut off after `most_bytes`. `options` are those of
        `requests.Session.request`; redirects are not followed unless they say so.
        """
        self._hanging = [each for each in self._hanging if each.is_alive()]
        if len(self._hanging) >= _HANGING:
            raise requests.Timeout("earlier requests still wait for a name server")
        exchange = _Exchange(self.session, method, url, seconds, most_bytes, options)
        thread = threading.Thread(target=exchange.run, name="bounded-http", daemon=True)
        thread.start()
        if not exchange.done.wait(seconds):
            exchange.abandon()
            self._hanging.append(thread)
            raise requests.Timeout(f"not answered in full within {seconds:g} s")
        if exchange.error is not None and _is_timeout(exchange.error):
            raise requests.Timeout(f"not answered in full within {seconds:g} s")
        if exchange.error is not None:
            raise exchange.error
        assert exchange.answer is not None  # noqa: S101 - there is one or the other
        return exchange.answer

    def close(self) -> None:
        """Close the kept connections."""
        self.session.close()


class _Exchange:
    """One request and its answer, in a thread of its own that can be left behind."""

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        seconds: float,
        most_bytes: int,
        options: Mapping[str, Any],
    ) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self._session = session
        self._method = method
        self._url = url
        self._seconds = seconds
        self._most = most_bytes
        self._options = options
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._abandoned = False

    def run(self) -> None:
        """Do the request; nothing is raised."""
        _current.exchange = self
        try:
            self.answer = self._ask()
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()

    def uses(self, connection: HTTPConnection) -> None:
        """Remember what to cut off; the response goes on with a socket that it closes itself."""
        self._connection = connection
        self._socket = connection.sock or self._socket
        if self._abandoned:
            raise requests.Timeout("called off")

    def abandon(self) -> None:
        """Make the thread end: a socket that is shut down wakes who reads from it or writes."""
        self._abandoned = True
        for each in (self._socket, getattr(self._connection, "sock", None)):
            if isinstance(each, socket.socket):
                with suppress(OSError):
                    # Not that of an SSLSocket, which would take TLS away from under the reader.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def _ask(self) -> Answer:
        options = {"allow_redirects": False, **self._options}
        response = self._session.request(
            self._method, self._url, stream=True, timeout=self._seconds, **options
        )
        with response:
            body, whole = _body(response, self._most)
        return Answer(
            response.status_code, response.reason or "", response.headers, body, whole=whole
        )


def _is_timeout(error: BaseException) -> bool:
    """Say whether a time limit of a socket is behind an error, which requests may call otherwise.

    It does for one that passes while the request is sent: `ConnectionError`.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError | requests.Timeout):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


_current = threading.local()


def _note(connection: HTTPConnection) -> None:
    exchange: _Exchange | None = getattr(_current, "exchange", None)
    if exchange is not None:
        exchange.uses(connection)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        _note(self)
        super().connect()
        _note(self)

    def putrequest(self, *args: Any, **options: Any) -> None:
        _note(self)
        super().putrequest(*args, **options)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """An adapter whose connections say which request they serve."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


def _body(response: requests.Response, most: int) -> tuple[bytes, bool]:
    """Return the body, decoded and at most `most` bytes of it, and whether that is all."""
    read = b""
    try:
        # Once more after the last byte: only then is a body that breaks off an error.
        while len(read) <= most:
            if not (part := response.raw.read(most + 1 - len(read), decode_content=False)):
                break
            read += part
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from None
    except urllib3.exceptions.SSLError as error:
        raise requests.exceptions.SSLError(error) from None
    except urllib3.exceptions.ProtocolError as error:
        raise ChunkedEncodingError(error) from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.ConnectionError(error) from None
    whole = len(read) <= most
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if not read or encoding in ("", "identity"):
        return read[:most], whole
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ContentDecodingError(
            f"the answer is encoded as {encoding!r}, which was not asked for"
        )
    unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = unpack.decompress(read, most + 1)
    except zlib.error as error:
        raise ContentDecodingError(f"the answer is not {encoding}: {error}") from None
    whole = whole and len(body) <= most
    if whole and not unpack.eof:
        raise ChunkedEncodingError("the answer ends before its encoding does")
    return body[:most], whole
