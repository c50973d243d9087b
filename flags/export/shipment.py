"""The shipment of one pair file; spans that the receiver refuses are skipped."""

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
from flags.export.shipping_counts import Seldom, ShippingAccount

logger = logging.getLogger(__name__)

UNREADABLE: Final = "unreadable"
"""Why a line was not shipped that is not OTLP/JSON."""

_TRIES: Final = 8
"""Failures of a single span for a reason that may pass, before it is taken for the cause."""
_AHEAD: Final = (1, 2, 4, 8, 16, 32, 64)
"""Which spans of the line behind a refused one are tried, and then which lines, to learn whether
the receiver takes anything."""
_MANY: Final = 2**31
_SMALLEST_BATCH: Final = 2**16


@dataclass(frozen=True, slots=True)
class ShipmentStep:
    """What the receiver replied, None if nothing was sent; whether to go on without a pause.

    `at_end` says that there was no whole line left to send.
    """

    reply: SendResult | None = None
    at_once: bool = False
    at_end: bool = False


class Shipment:
    """The spans of one file in their order, in batches that shrink around a span that fails.

    A span is given up only if the receiver takes others meanwhile: one that takes nothing is
    waited for, whatever it says, and the spans wait in their file. Of a line of which a part has
    been sent, all is sent again after a crash.
    """

    def __init__(
        self,
        file: ShippedFile,
        receiver: Receiver,
        limits: ShippingLimits,
        account: ShippingAccount,
        seldom: Seldom,
    ) -> None:
        self.file = file
        self.backoff = Backoff(limits.longest_wait)
        self.oldest: int | None = None
        self._receiver = receiver
        self._limits = limits
        self._account = account
        self._seldom = seldom
        self._pairs = limits.batch_pairs
        self._bytes = limits.batch_bytes
        self._sent_of_line = 0
        self._suspect_end = 0
        self._failing_since: float | None = None
        self._tries = 0

    def step(self, timeout: float | None = None) -> ShipmentStep:
        """Send the next lines, if there are any and it is time to."""
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
            if reply.reason == TIMED_OUT:  # perhaps it is the amount
                self._shrink(batch, request)
            return ShipmentStep(reply)
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        if request.spans > 1:
            self._look_closer(batch, request, reply)
        else:
            self._look_around(batch, request, reply)
        return ShipmentStep(reply, at_once=self.backoff.left == 0)

    def _request(self, batch: Batch) -> ExportRequest:
        """Return the request of whole lines; of a single one, only a part if it has too many."""
        first = self._sent_of_line
        part = slice(first, first + self._pairs) if len(batch.lines) == 1 else slice(None)
        return export_request(batch.lines, self._receiver.destination.protocol, part)

    def _note_rejected(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        """Count what was left out of a request that was taken; which spans, nobody says."""
        if 0 < reply.rejected <= request.spans:
            self._account.shipped -= reply.rejected
            self._reject(PARTIAL, reply.rejected, reply.words, batch.end)
        elif reply.rejected and self._seldom("absurd"):
            logger.warning(
                "the receiver says that it rejected %d spans of %d, which is ignored: %s",
                reply.rejected,
                request.spans,
                reply.words,
            )
        elif reply.words and self._seldom(reply.words):
            logger.warning("the receiver of pairs says: %s", reply.words)

    def _move_past(self, batch: Batch, request: ExportRequest) -> None:
        self._account.shipped += request.spans
        if request.unreadable:
            self._reject(UNREADABLE, request.unreadable, "no OTLP/JSON")
        self._advance(batch, request)
        if batch.end >= self._suspect_end and not request.left:
            self._pairs = min(2 * self._pairs, self._limits.batch_pairs)
            self._failing_since = None

    def _look_closer(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        """Send half of it next, to find the span that it fails for."""
        if self._seldom(reply.reason):
            logger.warning(
                "the receiver refused %d spans of %s (%s: %s); they are sent in smaller parts",
                request.spans,
                self.file.path.name,
                reply.reason,
                reply.words,
            )
        if reply.reason == TOO_LARGE:
            self._bytes = max(sum(map(len, batch.lines)) // 2, _SMALLEST_BATCH)
        self._shrink(batch, request)
        if reply.outcome is SendOutcome.DOUBTFUL:
            self.backoff.failed(reply.retry_after)

    def _shrink(self, batch: Batch, request: ExportRequest) -> None:
        self._pairs = max(1, request.spans // 2)
        self._suspect_end = batch.end

    def _look_around(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        """Set a span aside if the receiver has taken others between two failures of this one."""
        self._tries += 1
        enough = reply.outcome is SendOutcome.REFUSED or self._tries >= _TRIES
        if enough and self._receiver.accepted_at > (self._failing_since or 0.0):
            self._set_aside(batch, request, reply)
        elif not (enough and self._takes_others(request.left)):
            self.backoff.failed(reply.retry_after)

    def _takes_others(self, left: int) -> bool:
        """Send what is further on, one by one, until the receiver takes one or there are no more.

        What it takes is sent once more later, in its order.
        """
        for request in self._others(left):
            if request.spans == 0:
                continue
            outcome = self._receiver.send(request.body).outcome
            if outcome in (SendOutcome.ACCEPTED, SendOutcome.UNAVAILABLE):
                return outcome is SendOutcome.ACCEPTED
        return False

    def _others(self, left: int) -> Iterator[ExportRequest]:
        """Yield some of the spans that are left of the line, then some lines."""
        ahead = self.file.next(_MANY, self._bytes)
        lines, protocol = ahead.lines if ahead else (), self._receiver.destination.protocol
        for place in (self._sent_of_line + distance for distance in _AHEAD if distance <= left):
            yield export_request(lines[:1], protocol, slice(place, place + 1))
        for distance in (each for each in _AHEAD if each < len(lines)):
            yield export_request([lines[distance]], protocol)

    def _set_aside(self, batch: Batch, request: ExportRequest, reply: SendResult) -> None:
        self._reject(reply.reason, 1, reply.words)
        self._advance(batch, request)
        self._failing_since = None

    def _reject(self, reason: str, count: int, words: str, end: int | None = None) -> None:
        self._account.rejected[reason] += count
        begin = self.file.position
        if self._seldom(f"rejected: {reason}"):
            logger.error(
                "%d span(s) of %s at byte %s are not shipped (%s: %s); they stay in the file",
                count,
                self.file.path.name,
                begin if end is None else f"{begin} to {end}",
                reason,
                words,
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
            if self._seldom("position"):
                logger.warning(
                    "how far %s has been shipped cannot be written down (%s): "
                    "after a crash, spans will be sent twice",
                    self.file.path.name,
                    error.strerror,
                )
