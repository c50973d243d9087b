"""A client of an OTLP/HTTP receiver that reports the result of each request.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response.
"""

import gzip
import json
import time
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

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
_REFUSALS: Final = frozenset({400, 413, 422})
_DOUBTFUL: Final = frozenset({500})


class SendOutcome(Enum):
    """The outcome of a request."""

    ACCEPTED = "the receiver has it"
    REFUSED = "something in it is not to the receiver's liking"
    DOUBTFUL = "it was refused whole or in part, for a reason that may pass"
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
    """Spans that the receiver says it left out of a request that it took."""


class Receiver:
    """One OTLP/HTTP endpoint, over connections that are kept."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.accepted_at = 0.0
        """When a request was accepted last, on the monotonic clock."""
        self._session = requests.Session()
        self._session.headers.update(
            {
                "User-Agent": f"bentoml-flags/{VERSION}",
                **destination.headers,
                "Content-Type": CONTENT_TYPES[destination.protocol],
            }
        )
        if destination.gzip:
            self._session.headers["Content-Encoding"] = "gzip"

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
        try:
            try:
                response = self._post(body, seconds)
            except requests.Timeout:
                raise
            except requests.ConnectionError:  # a kept connection may just have been closed
                response = self._post(body, seconds)
        except requests.Timeout:
            return SendResult(SendOutcome.UNAVAILABLE, TIMED_OUT, f"no answer within {seconds:g} s")
        except (OSError, ValueError) as error:  # every error of requests is an OSError
            return SendResult(SendOutcome.UNAVAILABLE, _reason(error), _innermost(error))
        reply = _reply(response)
        if reply.outcome is SendOutcome.ACCEPTED:
            self.accepted_at = time.monotonic()
        return reply

    def _post(self, body: bytes, seconds: float) -> requests.Response:
        destination = self.destination
        certificate = destination.client_certificate
        key = destination.client_key
        return self._session.post(
            destination.url,
            data=body,
            timeout=seconds,
            # Followed, a redirect would make a GET of it, or carry the headers elsewhere.
            allow_redirects=False,
            verify=destination.certificate or True,
            cert=(certificate, key) if certificate and key else certificate,
            # Where headers say who we are, ~/.netrc must not say otherwise.
            auth=_as_it_is if "authorization" in destination.headers else None,
        )


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _reply(response: requests.Response) -> SendResult:
    status, kind = response.status_code, response.headers.get("Content-Type", "")
    if status >= 300:
        reason = f"http_{status}"
        return SendResult(_outcome(status), reason, _words(response, kind), _retry_after(response))
    if kind.startswith("text/html"):
        return SendResult(
            SendOutcome.UNAVAILABLE, "not_otlp", f"HTTP {status} with a web page: no OTLP receiver"
        )
    rejected, message = _partial_success(response.content, kind)
    if rejected:
        return SendResult(SendOutcome.DOUBTFUL, PARTIAL, message, rejected=rejected)
    return SendResult(SendOutcome.ACCEPTED, words=message)


def _outcome(status: int) -> SendOutcome:
    """Return what a status says of the request.

    400, 413 and 422 are about its content. 500 may be, which is why it is sent again in smaller
    parts. All others, such as 401, 404 and 503, are about the receiver or our settings: more may
    be repeated than the protocol asks for, because the pairs wait in files in any case.
    """
    if status in _REFUSALS:
        return SendOutcome.REFUSED
    return SendOutcome.DOUBTFUL if status in _DOUBTFUL else SendOutcome.UNAVAILABLE


def _partial_success(content: bytes, kind: str) -> tuple[int, str]:
    """Return the number of rejected spans and the message of an answer, if they can be read."""
    try:
        if kind.startswith("application/json"):
            partial: Any = json.loads(content).get("partialSuccess") or {}
            return int(partial.get("rejectedSpans", 0)), str(partial.get("errorMessage", ""))[
                :_READ
            ]
        answer = ExportTraceServiceResponse.FromString(content).partial_success
        return answer.rejected_spans, answer.error_message[:_READ]
    except Exception:  # it said 2xx: an answer in another format changes nothing
        return 0, ""


def _words(response: requests.Response, kind: str) -> str:
    """Return what an answer says, on one line and without markup."""
    if kind.startswith(("text/plain", "application/json")):
        return " ".join(response.text[:_READ].split())
    return response.reason or ""


def _retry_after(response: requests.Response) -> float:
    """Return the seconds of a Retry-After header, which may hold a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "0")
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
