"""Stand before a real OTLP receiver and give the faults it cannot be made to give by itself."""

import functools
import gzip
import json
import socket
import ssl
import struct
import zlib
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.proxy import Exchange, Proxy

POISON: Final = "poison"
"""Name of a span that `BAD_REQUEST` and `FAILS_ON_POISON` do not take."""


class Fault(Enum):
    """What the proxy does with every request."""

    NONE = "passes it on"
    UNAVAILABLE = "answers 503"
    TOO_MANY = "answers 429 and asks for two seconds"
    UNAUTHORISED = "answers 401"
    QUOTES = "answers 401 and quotes the token that it does not know"
    MOVED = "answers 301"
    FAILS = "answers 500"
    WEB_PAGE = "answers a log-in page with status 200"
    RESET = "resets the connection without reading the request to its end"
    ANSWER_LOST = "passes it on and resets the connection instead of answering"
    SILENT = "never answers"
    PARTIAL = "leaves out the first span, passes on the rest, and says so"
    PARTIAL_EVERY_OTHER = "does so with every other request"
    ABSURD = "passes everything on, and says that it left out a million spans"
    NEGATIVE = "passes everything on, and says that it left out less than none"
    BOMB = "answers 503 with half a GiB of zeros, gzip"
    DRIP = "passes it on, answers 200 and then a byte a second"
    BAD_REQUEST = "answers 400 if the poison is in it"
    FAILS_ON_POISON = "answers 500 if the poison is in it"
    TOO_LARGE = "answers 413 to more than ten spans"


_CANNED: Final[Mapping[Fault, tuple[int, dict[str, str], bytes]]] = {
    Fault.UNAVAILABLE: (503, {"Content-Type": "text/plain"}, b"no healthy upstream"),
    Fault.TOO_MANY: (429, {"Retry-After": "2"}, b""),
    Fault.UNAUTHORISED: (401, {"Content-Type": "text/plain"}, b"who are you?"),
    Fault.MOVED: (301, {"Location": "/elsewhere"}, b""),
    Fault.FAILS: (500, {"Content-Type": "application/json"}, b'{"message": "it broke"}'),
    Fault.WEB_PAGE: (200, {"Content-Type": "text/html"}, b"<!doctype html><title>Log in</title>"),
}


_REJECTED: Final = {Fault.ABSURD: 1_000_000, Fault.NEGATIVE: -5}


@functools.cache
def bomb() -> bytes:
    """Return half a GiB of zeros, which gzip makes half a MiB of."""
    packer, block = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(2**20)
    return b"".join(packer.compress(block) for _ in range(512)) + packer.flush()


class OtlpProxy(Proxy):
    """A proxy of OTLP/HTTP whose `fault` may be changed at any time.

    `asked` counts requests by the fault they met, `sizes` are their numbers of spans, `headers`
    those of the last one. `tls` makes it speak HTTPS.
    """

    def __init__(self, upstream: str, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(upstream, _Exchange)
        self.fault = Fault.NONE
        self.asked: Counter[Fault] = Counter()
        self.sizes: list[int] = []
        self.headers: Mapping[str, str] = {}
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def pass_on(self, path: str, kind: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask the real receiver; 502 if it is not there."""
        status, headers, content = self.ask("POST", path, {"Content-Type": kind}, body)
        return status, {"Content-Type": headers.get("Content-Type", kind)}, content


class _Exchange(Exchange):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802 - http.server names it
        proxy: OtlpProxy = self.server.proxy
        fault = proxy.fault
        proxy.asked[fault] += 1
        proxy.headers = dict(self.headers)
        if fault is Fault.RESET:
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        kind = self.headers["Content-Type"]
        spans = _Spans(body, kind)
        proxy.sizes.append(len(spans.names))
        if fault is Fault.SILENT:
            proxy.closing.wait(30)
            self._reset()
        elif fault in _CANNED:
            self._send(*_CANNED[fault])
        elif fault is Fault.QUOTES:
            said = f"nobody is known by {self.headers['Authorization']}".encode()
            self._send(401, {"Content-Type": "text/plain"}, said)
        elif fault is Fault.ANSWER_LOST:
            proxy.pass_on(self.path, kind, body)
            self._reset()
        elif fault in _REJECTED:
            proxy.pass_on(self.path, kind, body)
            self._send(200, {"Content-Type": kind}, spans.partial_success(_REJECTED[fault]))
        elif fault is Fault.BOMB:
            self._send(503, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}, bomb())
        elif fault is Fault.DRIP:
            proxy.pass_on(self.path, kind, body)
            self.send_head(200, {"Content-Type": kind}, 100_000)
            while not proxy.closing.wait(1):
                self.wfile.write(b" ")
        elif fault is Fault.PARTIAL or (
            fault is Fault.PARTIAL_EVERY_OTHER and proxy.asked[fault] % 2
        ):
            proxy.pass_on(self.path, kind, spans.without_first())
            self._send(200, {"Content-Type": kind}, spans.partial_success())
        elif fault in (Fault.BAD_REQUEST, Fault.FAILS_ON_POISON) and POISON in spans.names:
            status = 400 if fault is Fault.BAD_REQUEST else 500
            self._send(status, {"Content-Type": "text/plain"}, b"poison is not taken")
        elif fault is Fault.TOO_LARGE and len(spans.names) > 10:
            self._send(413, {}, b"")
        else:
            self._send(*proxy.pass_on(self.path, kind, body))

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_head(status, headers, len(content))
        self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        # With no time to linger, the kernel sends RST, as a receiver does that crashes.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Spans:
    """The spans of one request, in either encoding."""

    def __init__(self, body: bytes, kind: str) -> None:
        self._json = kind == "application/json"
        self._held: Any = json.loads(body) if self._json else ExportTraceServiceRequest()
        if not self._json:
            self._held.ParseFromString(body)

    @property
    def names(self) -> list[str]:
        """Names of all spans."""
        if self._json:
            return [span["name"] for spans in self._lists() for span in spans]
        return [span.name for spans in self._lists() for span in spans]

    def without_first(self) -> bytes:
        """Return the body without its first span."""
        del self._lists()[0][0]
        encoded = json.dumps(self._held).encode() if self._json else self._held.SerializeToString()
        return bytes(encoded)

    def partial_success(self, rejected: int = 1) -> bytes:
        """Return an answer that says that so many spans were left out."""
        message = "the first span was left out"
        if self._json:
            return json.dumps(
                {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}}
            ).encode()
        partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
        return bytes(ExportTraceServiceResponse(partial_success=partial).SerializeToString())

    def _lists(self) -> list[Any]:
        if self._json:
            return [
                scope["spans"]
                for resource in self._held["resourceSpans"]
                for scope in resource["scopeSpans"]
            ]
        return [
            scope.spans for resource in self._held.resource_spans for scope in resource.scope_spans
        ]
