"""A sink that hands pairs on several at a time."""

import asyncio
import logging
from typing import Final

from flags.pairing.observation import Pair, PairSink

logger = logging.getLogger(__name__)

_INTERVAL: Final = 0.05
"""Seconds: longer than the shadows that were gathered take, one after the other."""


class BatchedPairs:
    """Hand pairs on to `sink` in a row, a moment after the first.

    Between two scores, a record finds nothing of what it needs in the processor's caches, and takes
    twice as long.
    """

    def __init__(self, sink: PairSink) -> None:
        self._sink = sink
        self._pairs: list[Pair] = []

    def record(self, pair: Pair) -> None:
        """Keep `pair` for a moment."""
        if not self._pairs:
            asyncio.get_running_loop().call_later(_INTERVAL, self.flush)
        self._pairs.append(pair)

    def flush(self) -> None:
        """Hand on what there is."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            try:
                self._sink.record(pair)
            except Exception:  # an observer never costs an answer, nor another pair
                logger.exception("the pair of request %s could not be recorded", pair.request_id)
