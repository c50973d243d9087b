"""Count and digest of the items of a stream."""

import hashlib
from typing import Any, Final

from flags.errors import AnswerUnreadableError
from flags.pairing.observation import Content

KEPT_BYTES: Final = 2**18
"""Length up to which a stream is kept to read `score` from it; of a longer one, nothing is kept."""


class StreamDigest:
    """Count the items of one stream, and digest their bytes in the order in which they were sent.

    With `keep`, the items are kept as well, up to KEPT_BYTES.
    """

    def __init__(self, *, keep: bool) -> None:
        self._digest = hashlib.sha256()
        self._kept: list[Any] | None = [] if keep else None
        self.items = 0
        self.length = 0

    def add(self, item: Any, sent: str | bytes) -> None:
        """Count and digest `item`, which is sent as `sent`."""
        chunk = sent.encode() if isinstance(sent, str) else sent
        self.items += 1
        self.length += len(chunk)
        self._digest.update(chunk)
        if self._kept is not None:
            self._kept.append(item)
            if self.length > KEPT_BYTES:
                self._kept = None

    def content(self, *, first_item: float | None, complete: bool) -> Content:
        """Return length, items and, if the stream is `complete`, the digest."""
        digest = self._digest.hexdigest() if complete else None
        return Content(self.length, digest, self.items, first_item)

    def answer(self) -> Any:
        """Return the items as one answer: texts and bytes joined, anything else as a list.

        Raises AnswerUnreadableError if they were too long to be kept.
        """
        if self._kept is None:
            raise AnswerUnreadableError(f"the stream is longer than {KEPT_BYTES} bytes")
        if self._kept and all(isinstance(item, str) for item in self._kept):
            return "".join(self._kept)
        if self._kept and all(isinstance(item, bytes) for item in self._kept):
            return b"".join(self._kept)
        return self._kept
