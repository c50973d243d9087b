"""The record of a pair: made once its answer has left, of what both sides said."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flags.pairing.delivery import Delivery
from flags.pairing.kinds.text_recorder import KeptTexts, TextRecorder
from flags.pairing.observation import Content, Pair, PairSink
from flags.pairing.request import Request, Seen
from flags.pairing.scorer import Scored
from flags.pairing.unit import RequestUnits

logger = logging.getLogger(__name__)

Measure = Callable[[Any], Content]
"""Say what an answer of bytes holds; called in a thread."""


class PairRecorder:
    """Record pairs to a sink; `texts` say what may be kept of each side's texts.

    With `measure`, answers of bytes are recorded by what they hold.
    """

    def __init__(
        self, sink: PairSink, texts: Mapping[str, TextRecorder], measure: Measure | None
    ) -> None:
        self._sink = sink
        self._texts = texts
        self._measure = measure

    async def record(
        self,
        request: Request,
        seen: Seen,
        units: RequestUnits,
        delivery: Delivery,
        primary: Scored,
        candidate: Scored,
    ) -> None:
        """Record the pair, with what may be kept of its texts; a failure is logged."""
        if self._measure is not None:
            primary, candidate = await self._measured(primary), await self._measured(candidate)
        ended, kept = time.time_ns(), KeptTexts(primary.observation, candidate.observation)
        if self._texts:
            kept = await kept.of(self._texts, seen.prompt)
        pair = Pair(
            request_id=request.request_id,
            api=request.api,
            started=seen.started,
            ended=ended,
            assignment=delivery.assignment,
            primary=kept.primary,
            candidate=kept.candidate,
            prompt=kept.prompt,
            served=delivery.served,
            fallback=delivery.fallback,
            segments=seen.segments,
            features=seen.features,
            unit=units.unit,
            drawn=units.drawn,
            parent=seen.parent,
        )
        try:
            self._sink.record(pair)
        except Exception:  # an observer never costs an answer
            logger.exception("the pair of request %s could not be recorded", request.request_id)

    async def _measured(self, scored: Scored) -> Scored:
        """Add what the answer holds, which nobody waits for any more."""
        if not scored.ok or self._measure is None:
            return scored
        try:
            content = await asyncio.to_thread(self._measure, scored.answer)
        except Exception as error:  # a file that its model has removed
            logger.warning("an answer could not be measured: %s", type(error).__name__)
            return scored
        return replace(scored, observation=replace(scored.observation, content=content))
