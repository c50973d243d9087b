"""HTTP requests with a limit on their total time and on the size of the answer.

The timeout of `requests` covers connecting to one address, and then each wait for data. It does not
end a request whose server sends one byte a second, and does not cover name resolution. Here the
limit covers the time from the call to the last byte of the answer, and the answer, also after
decoding, takes a limited number of bytes of memory.
"""

import io
import ipaddress
import json
import socket
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from urllib3.connection import HTTPConnection, HTTPSConnection

_MAX_HANGING: Final = 4
"""Threads of abandoned requests that may still run: a name lookup cannot be cancelled."""

_GZIP_OR_ZLIB: Final = 47
"""zlib's `wbits` to detect either format by its header."""


def is_loopback(host_or_url: str) -> bool:
    """Say whether a host, or the host of a URL, is this machine, which no proxy reaches."""
    host = host_or_url
    try:
        host = urlsplit(host_or_url).hostname or "" if "//" in host_or_url else host_or_url
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes
    """Decoded, cut at the limit."""
    whole: bool
    """False if the body was cut."""

    @property
    def text(self) -> str:
        """The body decoded as UTF-8, whatever charset the headers name."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed body. Raises ValueError or RecursionError."""
        return json.loads(self.body)


class BoundedSession:
    """A session that keeps connections open, and whose requests end in time.

    Settings of all requests are set on `session`: headers, `auth`, `trust_env`.
    """

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.headers["Accept-Encoding"] = "gzip"
        # A server that sets more and more cookies would refuse the requests that bring them all.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter())
        self._hanging: list[threading.Thread] = []

    def request(
        self, method: str, url: str, *, seconds: float, max_bytes: int, **options: Any
    ) -> Answer:
        """Return the answer, or raise a `requests.RequestException` within `seconds`.

        The body is cut after `max_bytes`. `options` are those of `requests.Session.request`;
        redirects are not followed by default.
        """
        self._hanging = [each for each in self._hanging if each.is_alive()]
        if len(self._hanging) >= _MAX_HANGING:
            raise requests.Timeout("earlier requests still wait for a name server")
        exchange = _Exchange(self.session, method, url, seconds, max_bytes, options)
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
        assert exchange.answer is not None  # noqa: S101 - it is either the answer or the error
        return exchange.answer

    def close(self) -> None:
        """Close the connections."""
        self.session.close()


class _Exchange:
    """One request and its answer, in a thread of its own that can be abandoned."""

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        seconds: float,
        max_bytes: int,
        options: Mapping[str, Any],
    ) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self._session = session
        self._method = method
        self._url = url
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._options = options
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._abandoned = False

    def run(self) -> None:
        """Send the request and keep the answer or the error; never raises."""
        _current.exchange = self
        try:
            self.answer = self._send()
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()

    def uses(self, connection: HTTPConnection) -> None:
        """Keep the connection and its socket, which `abandon` shuts down.

        The socket is kept too, because the response takes it over from the connection.
        """
        self._connection = connection
        self._socket = connection.sock or self._socket
        if self._abandoned:
            raise requests.Timeout("abandoned")

    def abandon(self) -> None:
        """End the thread by shutting down the socket, which wakes a blocked read or write."""
        self._abandoned = True
        for each in (self._socket, getattr(self._connection, "sock", None)):
            if isinstance(each, socket.socket):
                with suppress(OSError):
                    # Not SSLSocket.shutdown, which would remove TLS while the thread still reads.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)

    def _send(self) -> Answer:
        options = {"allow_redirects": False, "hooks": {"response": _drop_redirect}, **self._options}
        response = self._session.request(
            self._method, self._url, stream=True, timeout=self._seconds, **options
        )
        with response:
            body, whole = _body(response, self._max_bytes)
        return Answer(
            response.status_code, response.reason or "", response.headers, body, whole=whole
        )


def _drop_redirect(response: requests.Response, **_: Any) -> None:
    """Drop the body of a redirect, which `requests` would read and decode whatever its size."""
    if response.is_redirect:
        response.raw.close()
        response.raw = urllib3.HTTPResponse(io.BytesIO(), preload_content=False)


def _is_timeout(error: BaseException) -> bool:
    """Say whether a timeout of the socket caused an error.

    `requests` raises ConnectionError for a timeout while the request is being sent.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError | requests.Timeout):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


_current = threading.local()


def _register(connection: HTTPConnection) -> None:
    exchange: _Exchange | None = getattr(_current, "exchange", None)
    if exchange is not None:
        exchange.uses(connection)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        _register(self)
        super().connect()
        _register(self)

    def putrequest(self, *args: Any, **options: Any) -> None:
        _register(self)
        super().putrequest(*args, **options)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    """An adapter whose connections register with the request that uses them."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


def _body(response: requests.Response, max_bytes: int) -> tuple[bytes, bool]:
    """Return the first `max_bytes` of the decoded body, and whether that is all of it."""
    read = b""
    try:
        # Read again after the last byte: only then does urllib3 raise if the body is incomplete.
        while len(read) <= max_bytes:
            size = max_bytes + 1 - len(read)
            if not (part := response.raw.read(size, decode_content=False)):
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
    whole = len(read) <= max_bytes
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if not read or encoding in ("", "identity"):
        return read[:max_bytes], whole
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ContentDecodingError(
            f"the answer is encoded as {encoding!r}, which was not asked for"
        )
    unpack = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        body = unpack.decompress(read, max_bytes + 1)
    except zlib.error as error:
        raise ContentDecodingError(f"the answer is not {encoding}: {error}") from None
    whole = whole and len(body) <= max_bytes
    if whole and not unpack.eof:
        raise ChunkedEncodingError("the answer ends before its encoding does")
    return body[:max_bytes], whole
