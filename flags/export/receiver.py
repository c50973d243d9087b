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
"""Seconds; a longer Retry-After is cut to these."""
_MESSAGE_LENGTH: Final = 200
"""Characters of a receiver's message that are quoted."""
_UNCUT_LENGTH: Final = 10 * _MESSAGE_LENGTH
"""Characters in which secrets are masked before the message is cut: half a secret is not found."""
_MAX_BYTES: Final = 2**16
"""Maximum size of an answer, also after decoding; it only says which spans were left out."""
_REFUSED_STATUS: Final = frozenset({400, 413, 422})
_DOUBTFUL_STATUS: Final = frozenset({500})


class SendOutcome(Enum):
    """The outcome of a request."""

    ACCEPTED = "the receiver has it"
    REFUSED = "the receiver refuses the content of the request"
    DOUBTFUL = "it was refused; the reason may be its content or a temporary failure"
    UNAVAILABLE = "the receiver accepts nothing at present, whatever the request contains"


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one request."""

    outcome: SendOutcome
    reason: str = ""
    """In one word, e.g. `http_503` or `timeout`."""
    message: str = ""
    """The receiver's message, or that of the error."""
    retry_after: float = 0.0
    """Seconds that the receiver asks us to wait."""
    rejected: int = 0
    """Spans that the receiver left out of an accepted request, as it reports them (unverified)."""


class Receiver:
    """A client of one OTLP/HTTP endpoint; it keeps its connections open."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.accepted_at = 0.0
        """When a request was last accepted, on the monotonic clock."""
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
        """Send one request and wait for the answer; never raises.

        Secrets are masked in the message, since a receiver may quote our request.
        """
        reply = self._send(body, timeout)
        message = self.destination.without_secrets(reply.message)[:_MESSAGE_LENGTH]
        return replace(reply, message=message)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(self, body: bytes, timeout: float | None) -> SendResult:
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
        # Redirects are not followed: they would turn it into a GET or send the headers elsewhere.
        return self._session.request(
            "POST",
            destination.url,
            seconds=seconds,
            max_bytes=_MAX_BYTES,
            data=body,
            verify=destination.certificate or True,
            cert=(certificate, key) if certificate and key else certificate,
            # If a header has credentials, those of ~/.netrc must not replace them.
            auth=_no_auth if "authorization" in destination.headers else None,
        )


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reply(answer: Answer) -> SendResult:
    status, kind = answer.status, answer.headers.get("Content-Type", "")
    if status >= 300:
        reason = f"http_{status}"
        return SendResult(_outcome(status), reason, _message(answer, kind), _retry_after(answer))
    if kind.startswith("text/html"):
        return SendResult(
            SendOutcome.UNAVAILABLE, "not_otlp", f"HTTP {status} with a web page: no OTLP receiver"
        )
    # Also if spans were left out: the protocol forbids to send such a request again.
    rejected, message = _partial_success(answer, kind)
    return SendResult(SendOutcome.ACCEPTED, message=message, rejected=rejected)


def _outcome(status: int) -> SendOutcome:
    """Return the outcome that an error status means.

    400, 413 and 422 concern the content of the request. 500 may, so the request is sent again in
    smaller parts. All others, such as 401, 404 and 503, concern the receiver or our settings. More
    is retried than the protocol asks for, because the pairs wait in files in any case.
    """
    if status in _REFUSED_STATUS:
        return SendOutcome.REFUSED
    return SendOutcome.DOUBTFUL if status in _DOUBTFUL_STATUS else SendOutcome.UNAVAILABLE


def _partial_success(answer: Answer, kind: str) -> tuple[int, str]:
    """Return the number of rejected spans and the message; 0 and "" if they cannot be read."""
    try:
        if kind.startswith("application/json"):
            partial: Any = answer.json().get("partialSuccess") or {}
            number, message = int(partial.get("rejectedSpans", 0)), partial.get("errorMessage", "")
            return number, str(message)[:_UNCUT_LENGTH]
        partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
        return partial.rejected_spans, partial.error_message[:_UNCUT_LENGTH]
    except Exception:  # the status is 2xx: an answer in another format changes nothing
        return 0, ""


def _message(answer: Answer, kind: str) -> str:
    """Return the text of an answer on one line; of HTML and the like, only the status phrase."""
    if kind.startswith(("text/plain", "application/json")):
        return " ".join(answer.text[:_UNCUT_LENGTH].split())
    return answer.reason


def _retry_after(answer: Answer) -> float:
    """Return the seconds of a Retry-After header, which may hold a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("Retry-After", "0")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):  # a year, an hour or a zone of too many digits
            seconds = 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if seconds == seconds else 0.0


def _reason(error: BaseException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "tls"
    if isinstance(error, requests.ConnectionError):
        return "connection"
    return "error"


def _innermost(error: BaseException) -> str:
    """Return the message of the first error in the chain: later ones quote the whole URL."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{type(error).__name__}: {error}"[:_UNCUT_LENGTH]
