"""A sink that passes pairs on in batches."""

import asyncio
import logging
from typing import Final

from flags.pairing.observation import Pair, PairSink

logger = logging.getLogger(__name__)

_INTERVAL: Final = 0.05
"""Seconds between the first pair of a batch and its recording, in which all gathered shadows can be
scored one after another."""


class BatchedPairs:
    """Collect pairs for `_INTERVAL` seconds, then record them in `sink` one after another.

    Between two scores, the code that records finds none of its data in the processor's caches, and
    takes twice as long.
    """

    def __init__(self, sink: PairSink) -> None:
        self._sink = sink
        self._pairs: list[Pair] = []

    def record(self, pair: Pair) -> None:
        """Add `pair` to the batch."""
        if not self._pairs:
            asyncio.get_running_loop().call_later(_INTERVAL, self.flush)
        self._pairs.append(pair)

    def flush(self) -> None:
        """Record the collected pairs in the sink."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            try:
                self._sink.record(pair)
            except Exception:  # a failed record must cost no answer and no other pair
                logger.exception("the pair of request %s could not be recorded", pair.request_id)
