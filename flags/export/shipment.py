"""The shipment of one pair file in batches; a span that the receiver keeps refusing is skipped."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flags.export.backoff import Backoff
from flags.export.otlp_request import ExportRequest, export_request
from flags.export.receiver import (
    PARTIAL,
    TIMED_OUT,
    TOO_LARGE,
    Receiver,
    SendOutcome,
    SendResult,
)
from flags.export.shipped_file import Batch, ShippedFile, ShippingLimits
from flags.export.shipping_counts import LogLimit, ShippingAccount

logger = logging.getLogger(__name__)

UNREADABLE: Final = "unreadable"
"""Reason of lines that were not shipped: they are not OTLP/JSON."""

_MAX_TRIES: Final = 8
"""Failures of a single span with status 500 after which the span is regarded as the cause."""
_PROBE_DISTANCES: Final = (1, 2, 4, 8, 16, 32, 64)
"""After a refused span, the spans at these distances in its line, and then the lines at these
distances, are sent to learn whether the receiver accepts anything."""
_UNLIMITED: Final = 2**31
_MIN_BATCH_BYTES: Final = 2**16


@dataclass(frozen=True, slots=True)
class ShipmentStep:
    """The result of one step of a shipment."""

    reply: SendResult | None = None
    """None if nothing was sent."""
    at_once: bool = False
    """Whether the next step should follow without a pause."""
    at_end: bool = False
    """Whether no whole line was left to send."""


class Shipment:
    """The spans of one file, sent in order, in batches that are halved to find a refused span.

    A span is skipped only if the receiver accepts others at that time. If it accepts nothing, the
    spans wait in their file, whatever its answers say. After a crash, a line that was sent in part
    is sent again as a whole.
    """

    def __init__(
        self,
        file: ShippedFile,
        receiver: Receiver,
        limits: ShippingLimits,
        account: ShippingAccount,
        may_log: LogLimit,
    ) -> None:
        self.file = file
        self.backoff = Backoff(limits.longest_wait)
        self.oldest: int | None = None
        self._receiver = receiver
        self._limits = limits
        self._account = account
        self._may_log = may_log
        self._pairs = limits.batch_pairs
        self._bytes = limits.batch_bytes
        self._sent_of_line = 0
        self._suspect_end = 0
        self._failing_since: float | None = None
        self._tries = 0

    def step(self, timeout: float | None = None) -> ShipmentStep:
        """Send the next lines, unless there are none or the backoff has not ended."""
        if self.backoff.left > 0:
            return ShipmentStep()
        batch = self.file.next(1 if self._sent_of_line else self._pairs, self._bytes)
        if batch is None:
            self.oldest = None
            return ShipmentStep(at_end=True)
        request = self._request(batch)
        self.oldest = request.oldest
        if request.spans == 0:
            self._move_past(batch, request)
            return ShipmentStep(at_once=True)
        reply = self._receiver.send(request.body, timeout)
        if reply.outcome is SendOutcome.ACCEPTED:
            self._note_rejected(batch, request, reply)
            self._move_past(batch, request)
            return ShipmentStep(reply, at_once=batch.is_full or request.left > 0)
        self._account.retries[reply.reason] += 1
        if reply.outcome is SendOutcome.UNAVAILABLE:
            if reply.reason == TIMED_OUT:  # the batch may be too large
                self._shrink(batch, request)
            return ShipmentStep(reply)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        if request.spans > 1:
            self._split(batch, request, reply)
        else:
            self._retry_or_skip(batch, request, reply)
        return ShipmentStep(reply, at_once=self.backoff.left == 0)

    def _request(self, batch: Batch) -> ExportRequest:
        """Return the request for a batch. A single line may be sent in parts of `_pairs` spans."""
        first = self._sent_of_line
        part = slice(first, first + self._pairs) if len(batch.lines) == 1 else slice(None)
        return export_request(batch.lines, self._receiver.destination.protocol, part)

    def _note_rejected(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        """Count the spans that the receiver left out of an accepted request."""
        if 0 < reply.rejected <= request.spans:
            self._account.shipped -= reply.rejected
            self._reject(PARTIAL, reply.rejected, reply.message, batch.end)
        elif reply.rejected and self._may_log("absurd"):
            logger.warning(
                "the receiver says that it rejected %d spans of %d, which is ignored: %s",
                reply.rejected,
                request.spans,
                reply.message,
            )
        elif reply.message and self._may_log(reply.message):
            logger.warning("the receiver of pairs says: %s", reply.message)

    def _move_past(self, batch: Batch, request: ExportRequest) -> None:
        self._account.shipped += request.spans
        if request.unreadable:
            self._reject(UNREADABLE, request.unreadable, "no OTLP/JSON")
        self._advance(batch, request)
        if batch.end >= self._suspect_end and not request.left:
            self._pairs = min(2 * self._pairs, self._limits.batch_pairs)
            self._failing_since = None

    def _split(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        """Halve the next batch, to find the span that is refused."""
        if self._may_log(reply.reason):
            logger.warning(
                "the receiver refused %d spans of %s (%s: %s); they are sent in smaller parts",
                request.spans,
                self.file.path.name,
                reply.reason,
                reply.message,
            )
        if reply.reason == TOO_LARGE:
            self._bytes = max(sum(map(len, batch.lines)) // 2, _MIN_BATCH_BYTES)
        self._shrink(batch, request)
        if reply.outcome is SendOutcome.DOUBTFUL:
            self.backoff.failed(reply.retry_after)

    def _shrink(self, batch: Batch, request: ExportRequest) -> None:
        self._pairs = max(1, request.spans // 2)
        self._suspect_end = batch.end

    def _retry_or_skip(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        """Skip a refused span if the receiver has accepted others since its first failure.

        If it has not yet, probe with later spans: if one is accepted, the span is skipped at its
        next failure.
        """
        self._tries += 1
        enough = reply.outcome is SendOutcome.REFUSED or self._tries >= _MAX_TRIES
        if enough and self._receiver.accepted_at > (self._failing_since or 0.0):
            self._skip(batch, request, reply)
        elif not (enough and self._accepts_others(request.left)):
            self.backoff.failed(reply.retry_after)

    def _accepts_others(self, left: int) -> bool:
        """Send later spans one by one until the receiver accepts one; False if it accepts none.

        Accepted spans are sent again later, in their order.
        """
        for request in self._probes(left):
            if request.spans == 0:
                continue
            outcome = self._receiver.send(request.body).outcome
            if outcome in (SendOutcome.ACCEPTED, SendOutcome.UNAVAILABLE):
                return outcome is SendOutcome.ACCEPTED
        return False

    def _probes(self, left: int) -> Iterator[ExportRequest]:
        """Yield requests of single later spans of the line, then of later lines."""
        ahead = self.file.next(_UNLIMITED, self._bytes)
        lines, protocol = ahead.lines if ahead else (), self._receiver.destination.protocol
        for place in (
            self._sent_of_line + distance for distance in _PROBE_DISTANCES if distance <= left
        ):
            yield export_request(lines[:1], protocol, slice(place, place + 1))
        for distance in (each for each in _PROBE_DISTANCES if each < len(lines)):
            yield export_request([lines[distance]], protocol)

    def _skip(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        self._reject(reply.reason, 1, reply.message)
        self._advance(batch, request)
        self._failing_since = None

    def _reject(self, reason: str, count: int, message: str, end: int | None = None) -> None:
        self._account.rejected[reason] += count
        begin = self.file.position
        if self._may_log(f"rejected: {reason}"):
            logger.error(
                "%d span(s) of %s at byte %s are not shipped (%s: %s); they stay in the file",
                count,
                self.file.path.name,
                begin if end is None else f"{begin} to {end}",
                reason,
                message,
            )

    def _advance(self, batch: Batch, request: ExportRequest) -> None:
        self._tries = 0
        self.oldest = None
        self.backoff.succeeded()
        self._sent_of_line = self._sent_of_line + request.spans if request.left else 0
        if request.left:
            return
        try:
            self.file.advance(batch.end)
        except OSError as error:
            if self._may_log("position"):
                logger.warning(
                    "the shipped position of %s cannot be written (%s): "
                    "after a crash, spans will be sent twice",
                    self.file.path.name,
                    error.strerror,
                )
