"""A client of an OTLP/HTTP receiver that reports the result of each request.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response.
"""

import gzip
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from flags.bounded_http import Answer, BoundedSession
from flags.export.destination import Destination
from flags.export.otlp_request import CONTENT_TYPES
from flags.export.version import VERSION

TIMED_OUT: Final = "timeout"
PARTIAL: Final = "partial_success"
TOO_LARGE: Final = "http_413"

_LONGEST_RETRY_AFTER: Final = 600.0
"""Seconds; a receiver that asks for more is asked again after these."""
_WORDS: Final = 200
"""Characters of a receiver's answer that are quoted."""
_READ: Final = 10 * _WORDS
"""Characters that are looked through for secrets before: one that is cut would not be found."""
_MOST_BYTES: Final = 2**16
"""Of an answer, whatever its encoding makes of them: it says how many spans were left out, and why.
"""
_REFUSALS: Final = frozenset({400, 413, 422})
_DOUBTFUL: Final = frozenset({500})


class SendOutcome(Enum):
    """The outcome of a request."""

    ACCEPTED = "the receiver has it"
    REFUSED = "something in it is not to the receiver's liking"
    DOUBTFUL = "it was refused, for a reason that may pass"
    UNAVAILABLE = "the receiver takes nothing at present, whatever the request holds"


@dataclass(frozen=True, slots=True)
class SendResult:
    """An outcome, its reason in a word (`http_503`, `timeout`), and what the receiver said."""

    outcome: SendOutcome
    reason: str = ""
    words: str = ""
    retry_after: float = 0.0
    """Seconds that the receiver asks us to wait."""
    rejected: int = 0
    """Spans that the receiver says it left out of a request that it took, as it says it."""


class Receiver:
    """One OTLP/HTTP endpoint, over connections that are kept."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.accepted_at = 0.0
        """When a request was accepted last, on the monotonic clock."""
        self._session = BoundedSession()
        headers = self._session.session.headers
        headers.update(
            {
                "Accept-Encoding": "identity",
                "User-Agent": f"bentoml-flags/{VERSION}",
                **destination.headers,
                "Content-Type": CONTENT_TYPES[destination.protocol],
            }
        )
        if destination.gzip:
            headers["Content-Encoding"] = "gzip"

    def send(self, body: bytes, timeout: float | None = None) -> SendResult:
        """Send one request and wait for the answer; nothing that goes wrong is raised.

        A receiver may quote in its words what it was sent: they are without our secrets.
        """
        reply = self._sent(body, timeout)
        return replace(reply, words=self.destination.without_secrets(reply.words)[:_WORDS])

    def close(self) -> None:
        """Close the kept connections."""
        self._session.close()

    def _sent(self, body: bytes, timeout: float | None) -> SendResult:
        if self.destination.gzip:
            body = gzip.compress(body, compresslevel=6, mtime=0)
        seconds = min(timeout or self.destination.timeout, self.destination.timeout)
        until = time.monotonic() + seconds
        try:
            try:
                answer = self._post(body, seconds)
            except requests.Timeout:
                raise
            except requests.ConnectionError:  # a kept connection may just have been closed
                answer = self._post(body, max(0.001, until - time.monotonic()))
        except requests.Timeout:
            return SendResult(SendOutcome.UNAVAILABLE, TIMED_OUT, f"no answer within {seconds:g} s")
        except (OSError, ValueError) as error:  # every error of requests is an OSError
            return SendResult(SendOutcome.UNAVAILABLE, _reason(error), _innermost(error))
        reply = _reply(answer)
        if reply.outcome is SendOutcome.ACCEPTED:
            self.accepted_at = time.monotonic()
        return reply

    def _post(self, body: bytes, seconds: float) -> Answer:
        destination = self.destination
        certificate = destination.client_certificate
        key = destination.client_key
        # Redirects are not followed: that would make a GET of it, or carry the headers elsewhere.
        return self._session.request(
            "POST",
            destination.url,
            seconds=seconds,
            most_bytes=_MOST_BYTES,
            data=body,
            verify=destination.certificate or True,
            cert=(certificate, key) if certificate and key else certificate,
            # Where headers say who we are, ~/.netrc must not say otherwise.
            auth=_as_it_is if "authorization" in destination.headers else None,
        )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reply(answer: Answer) -> SendResult:
    status, kind = answer.status, answer.headers.get("Content-Type", "")
    if status >= 300:
        reason = f"http_{status}"
        return SendResult(_outcome(status), reason, _words(answer, kind), _retry_after(answer))
    if kind.startswith("text/html"):
        return SendResult(
            SendOutcome.UNAVAILABLE, "not_otlp", f"HTTP {status} with a web page: no OTLP receiver"
        )
    # Also where spans were left out: such a request must not be sent again, says the protocol.
    rejected, message = _partial_success(answer, kind)
    return SendResult(SendOutcome.ACCEPTED, words=message, rejected=rejected)


def _outcome(status: int) -> SendOutcome:
    """Return what a status says of the request.

    400, 413 and 422 are about its content. 500 may be, which is why it is sent again in smaller
    parts. All others, such as 401, 404 and 503, are about the receiver or our settings: more may
    be repeated than the protocol asks for, because the pairs wait in files in any case.
    """
    if status in _REFUSALS:
        return SendOutcome.REFUSED
    return SendOutcome.DOUBTFUL if status in _DOUBTFUL else SendOutcome.UNAVAILABLE


def _partial_success(answer: Answer, kind: str) -> tuple[int, str]:
    """Return the number of rejected spans and the message of an answer, if they can be read."""
    try:
        if kind.startswith("application/json"):
            partial: Any = answer.json().get("partialSuccess") or {}
            number, message = int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", "")
            return number, str(message)[:_READ]
        said = ExportTraceServiceResponse.FromString(answer.body).partial_success
        return said.rejected_spans, said.error_message[:_READ]
    except Exception:  # it said 2xx: an answer in another format changes nothing
        return 0, ""


def _words(answer: Answer, kind: str) -> str:
    """Return what an answer says, on one line and without markup."""
    if kind.startswith(("text/plain", "application/json")):
        return " ".join(answer.text[:_READ].split())
    return answer.reason


def _retry_after(answer: Answer) -> float:
    """Return the seconds of a Retry-After header, which may hold a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("Retry-After", "0")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            seconds = 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if seconds == seconds else 0.0


def _reason(error: BaseException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    if isinstance(error, requests.ConnectionError):
        return "connection"
    return "error"


def _innermost(error: BaseException) -> str:
    """Return the words of the error that began it: those around it quote the whole URL."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}"[:_READ]
