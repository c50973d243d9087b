"""A thread that ships pair files to an OTLP receiver: every line at least once."""

import contextlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

from flags.export.backoff import Backoff
from flags.export.closed_files import PREFIX, SUFFIX, has_compressed_copy
from flags.export.destination import Destination
from flags.export.receiver import Receiver, SendOutcome, SendResult
from flags.export.shipment import Shipment
from flags.export.shipped_file import (
    POSITION_SUFFIX,
    ShippedFile,
    ShippingLimits,
    shipped_position,
)
from flags.export.shipping_counts import LogLimit, ShippingAccount

logger = logging.getLogger(__name__)

_SCAN_INTERVAL: Final = 2.0
"""Seconds between two scans of the folder for files to ship."""
_MAX_OWN: Final = 16
_MAX_ADOPTED: Final = 4
"""Files of this worker, and of dead workers, that are open at a time, two descriptors each."""


class Shipper:
    """A thread that ships the files of a worker, named `name`, and the files of dead workers.

    Spans are read from the files only, never from memory. Those that the receiver has not accepted
    are sent again without end. So a folder has one destination: services that ship to different
    receivers need different folders.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        destination: Destination,
        limits: ShippingLimits | None = None,
    ) -> None:
        self.account = ShippingAccount()
        self._folder = folder
        self._own = f"{PREFIX}{name}-"
        self.destination = destination
        self._receiver = Receiver(destination)
        self._limits = limits or ShippingLimits()
        self._backoff = Backoff(self._limits.longest_wait)
        self._may_log = LogLimit()
        self._shipments: dict[str, Shipment] = {}
        self._finished: set[str] = set()
        self._released_bytes = 0
        self._scan_at = 0.0
        self._failure: str | None = None
        self._closing = threading.Event()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._run, name="pair-shipper", daemon=True)
        self._thread.start()

    def close(self, within: float = 5.0) -> None:
        """Ship this worker's files for up to `within` seconds, then stop; the rest stays."""
        self._deadline = time.monotonic() + within
        self._closing.set()
        self._thread.join(within)

    @property
    def shipped_bytes(self) -> int:
        """Return the bytes by which positions have moved since the start; for any thread."""
        return self._released_bytes + sum(each.file.moved for each in self._open_shipments())

    @property
    def oldest(self) -> int | None:
        """Return when the oldest span that is being sent ended, in Unix nanoseconds."""
        shipments = self._open_shipments()
        return min((each.oldest for each in shipments if each.oldest is not None), default=None)

    def waiting_bytes(self) -> int:
        """Return the unshipped bytes of this worker's files and of the files it adopted.

        For any thread: the sizes are read from the files themselves. Raises OSError.
        """
        positions = {each.file.path.name: each.file.position for each in self._open_shipments()}
        finished = self._finished.copy()
        try:
            found = os.listdir(self._folder)
        except FileNotFoundError:  # no pair has been written yet, or the folder was removed
            return 0
        own = (each for each in found if each.startswith(self._own) and each.endswith(SUFFIX))
        names = positions.keys() | {each for each in own if each not in finished}
        waiting = 0
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                path = self._folder / name
                position = positions.get(name)
                position = shipped_position(path) if position is None else position
                waiting += max(0, path.stat().st_size - position)
        return waiting

    def _open_shipments(self) -> list[Shipment]:
        return list(self._shipments.values())  # atomic: another thread may change the dict

    def _run(self) -> None:
        while not self._closing.is_set():
            pause = self._limits.interval
            try:
                pause = self._round()
            except Exception as error:  # whatever the error, shipping goes on
                self._backoff.failed()
                if self._may_log(type(error).__name__):
                    logger.exception("pairs could not be shipped just now")
            self._closing.wait(pause)
        try:
            self._finish()
        except Exception:
            logger.exception("the last pairs were not shipped; they are in %s", self._folder)
        self._receiver.close()

    def _round(self) -> float:
        """Send one batch of each file; return the seconds until the next round."""
        if time.monotonic() >= self._scan_at or self._adopted == len(self._shipments):
            self._scan()
        at_once = False
        for _, shipment in sorted(self._shipments.items()):
            if self._backoff.left > 0 or self._closing.is_set():
                break
            at_once |= self._ship(shipment)
        if self._backoff.left > 0:
            return min(self._backoff.left, self._limits.interval)
        return 0.0 if at_once else self._limits.interval

    def _ship(self, shipment: Shipment) -> bool:
        """Send one batch; say whether there is more to do at once."""
        file = shipment.file
        if file.is_removed:
            self._release(shipment)
            return False
        is_closed = not file.has_writer  # before the step: then what it reads is the final content
        step = shipment.step()
        if step.reply is not None:
            self._note(step.reply)
        elif is_closed and step.at_end:
            self._release(shipment)
            self._finished.add(file.path.name)
        return step.at_once

    def _note(self, reply: SendResult) -> None:
        """Back off if the receiver is unavailable; log each change of that state."""
        if reply.outcome is SendOutcome.UNAVAILABLE:
            self._backoff.failed(reply.retry_after)
            if self._failure != reply.reason:
                logger.warning(
                    "pairs are not shipped to %s (%s: %s); they wait in %s and will be",
                    self.destination,
                    reply.reason,
                    reply.message,
                    self._folder,
                )
            self._failure = reply.reason
        elif reply.outcome is SendOutcome.ACCEPTED:
            self._backoff.succeeded()
            if self._failure is not None:
                logger.warning("pairs are shipped to %s again", self.destination)
            self._failure = None

    def _scan(self) -> None:
        """Take this worker's files, and some that dead workers left, the oldest first."""
        self._scan_at = time.monotonic() + _SCAN_INTERVAL
        try:
            names = sorted(name for name in os.listdir(self._folder) if name.startswith(PREFIX))
        except FileNotFoundError:  # no pair has been written yet
            return
        files = [name for name in names if name.endswith(SUFFIX)]
        self._finished.intersection_update(files)
        for name in files:
            if name in self._shipments or name in self._finished:
                continue
            if not name.startswith(self._own):
                if self._adopted < _MAX_ADOPTED and not self._closing.is_set():
                    self._take(name, own=False)
            elif len(self._shipments) - self._adopted < _MAX_OWN:
                self._take(name, own=True)
        for name in names:
            if name.endswith(SUFFIX + POSITION_SUFFIX):
                self._remove_orphan(name)

    @property
    def _adopted(self) -> int:
        return sum(not name.startswith(self._own) for name in self._shipments)

    def _take(self, name: str, *, own: bool) -> None:
        path = self._folder / name
        try:
            if path.stat().st_size == 0:  # just created: its writer is about to lock it
                return
            file = ShippedFile.take(path, own=own)
        except FileNotFoundError:
            return
        except OSError as error:
            if self._may_log("take"):
                logger.warning("%s cannot be shipped: %s", path, error)
            return
        if file is None:
            return
        if not own and file.waiting == 0:
            file.release()
            self._finished.add(name)
            return
        if not own:
            logger.info("shipping %s, whose worker has ended", name)
        self._shipments[name] = Shipment(
            file, self._receiver, self._limits, self.account, self._may_log
        )

    def _remove_orphan(self, name: str) -> None:
        """Remove a position file if its pair file has been removed."""
        pair_file = self._folder / name.removesuffix(POSITION_SUFFIX)
        if pair_file.name not in self._shipments and not (
            pair_file.exists() or has_compressed_copy(pair_file)
        ):
            (self._folder / name).unlink(missing_ok=True)

    def _release(self, shipment: Shipment) -> None:
        shipment.file.release()
        self._released_bytes += shipment.file.moved
        del self._shipments[shipment.file.path.name]
        self._scan_at = 0.0  # another file may take its place

    def _finish(self) -> None:
        """Ship the rest of this worker's files until the deadline, or the first failure."""
        for name, shipment in list(self._shipments.items()):
            if not name.startswith(self._own):
                self._release(shipment)
        self._scan()
        for _, shipment in sorted(self._shipments.items()):
            while (left := self._deadline - time.monotonic()) > 0 and self._backoff.left == 0:
                step = shipment.step(timeout=left)
                if step.reply is not None:
                    self._note(step.reply)
                elif not step.at_once:
                    break
                if shipment.backoff.left > 0:
                    break
        for shipment in list(self._shipments.values()):
            self._release(shipment)
