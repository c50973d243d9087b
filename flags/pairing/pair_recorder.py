"""The recording of pairs, after their answers were sent."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flags.pairing.delivery import Delivery
from flags.pairing.kinds.text_recorder import RecordedTexts, TextRecorder
from flags.pairing.observation import Content, Pair, PairSink
from flags.pairing.request import Request, RequestSnapshot
from flags.pairing.scorer import Scored
from flags.pairing.unit import RequestUnits

logger = logging.getLogger(__name__)

Measure = Callable[[Any], Content]
"""Return length and digest of an answer of bytes; called in a thread."""


class PairRecorder:
    """Record pairs in a sink.

    `texts` has, by output, the recorder that replaces texts by their recorded values. With
    `measure`, length and digest of answers of bytes are recorded.
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
        snapshot: RequestSnapshot,
        units: RequestUnits,
        delivery: Delivery,
        primary: Scored,
        candidate: Scored,
    ) -> None:
        """Record one pair; a failure is logged."""
        if self._measure is not None:
            primary, candidate = await self._measured(primary), await self._measured(candidate)
        ended, recorded = time.time_ns(), RecordedTexts(primary.observation, candidate.observation)
        if self._texts:
            recorded = await recorded.redacted(self._texts, snapshot.prompt)
        pair = Pair(
            request_id=request.request_id,
            api=request.api,
            started=snapshot.started,
            ended=ended,
            assignment=delivery.assignment,
            primary=recorded.primary,
            candidate=recorded.candidate,
            prompt=recorded.prompt,
            served=delivery.served,
            fallback=delivery.fallback,
            segments=snapshot.segments,
            features=snapshot.features,
            unit=units.unit,
            drawn=units.drawn,
            parent=snapshot.parent,
        )
        try:
            self._sink.record(pair)
        except Exception:  # a failed record must cost no answer
            logger.exception("the pair of request %s could not be recorded", request.request_id)

    async def _measured(self, scored: Scored) -> Scored:
        """Add length and digest of the answer, which was sent already."""
        if not scored.ok or self._measure is None:
            return scored
        try:
            content = await asyncio.to_thread(self._measure, scored.answer)
        except Exception as error:  # e.g. a file that its model has removed
            logger.warning("an answer could not be measured: %s", type(error).__name__)
            return scored
        return replace(scored, observation=replace(scored.observation, content=content))
