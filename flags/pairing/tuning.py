"""The candidate's thresholds, taken from the flag's payload."""

import json
import logging
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from flags.errors import ThresholdPayloadError

logger = logging.getLogger(__name__)

_MAX_CACHED: Final = 64
"""Payloads that are cached. A flag has one payload per variant at a time."""

Decide = Callable[[Any, Mapping[str, float]], Any]
"""Return the candidate's answer, decided at the given thresholds by output name."""


class Tuning:
    """Read `{"threshold": 0.93}`, or `{"threshold": {"<output>": 0.93}}`, from a flag's payload.

    Any other payload is refused, and the configured threshold stays. Without `decide` every payload
    is refused: a threshold that is recorded but does not decide would make the record wrong. Each
    payload is logged once, as accepted or refused, even if requests with different payloads
    alternate.
    """

    def __init__(self, outputs: Collection[str], decide: Decide | None) -> None:
        self.decide = decide
        self._outputs = tuple(outputs)
        self._cache: dict[str, Mapping[str, float]] = {}

    def thresholds(self, payload: str | None) -> Mapping[str, float]:
        """Return the thresholds in `payload`; empty if there is no payload or it is refused."""
        if payload is None:
            return {}
        thresholds = self._cache.get(payload)
        if thresholds is None:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            thresholds = self._cache[payload] = self._accepted(payload)
        return thresholds

    def _accepted(self, payload: str) -> Mapping[str, float]:
        try:
            thresholds = self._parsed(payload)
        except ThresholdPayloadError as error:
            logger.warning(
                "the flag's payload is refused, the configured threshold stays: %s", error
            )
            return {}
        logger.warning("the candidate's threshold is the flag's: %s", thresholds)
        return thresholds

    def _parsed(self, payload: str) -> dict[str, float]:
        try:
            content = json.loads(payload)
        except (ValueError, RecursionError):
            raise ThresholdPayloadError(f"{payload[:80]!r} is not JSON") from None
        if not isinstance(content, dict) or set(content) != {"threshold"}:
            raise ThresholdPayloadError(f'{payload[:80]!r} is not of the form {{"threshold": 0.9}}')
        if self.decide is None:
            raise ThresholdPayloadError("the service was migrated without decide=")
        spec = content["threshold"]
        by_output = spec if isinstance(spec, dict) else dict.fromkeys(self._outputs, spec)
        unknown = sorted(set(by_output) - set(self._outputs))
        if unknown:
            raise ThresholdPayloadError(f"no output is named {unknown}: {list(self._outputs)} are")
        return {name: _finite(name, value) for name, value in by_output.items()}


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ThresholdPayloadError(f"the threshold of {name} is {value!r}, not a number")
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond every float
        number = math.inf
    if not math.isfinite(number):
        raise ThresholdPayloadError(f"the threshold of {name} is {number}, not finite")
    return number
