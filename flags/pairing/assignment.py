"""The assignment of a request to a side, by the flag."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

logger = logging.getLogger(__name__)

DOMAIN: Final = "bentoml-flags"
"""OpenFeature domain of this project's provider, beside the application's own default provider."""

SHADOW_SUFFIX: Final = ".shadow"
"""`<flag>.shadow` switches the shadow's scoring off, or samples it; a missing flag means on."""

SHADOW_CACHE_SECONDS: Final = 0.5
"""Seconds for which a value of the shadow flag is cached if it is the same for every request."""

_SAME_FOR_ALL: Final = frozenset({Reason.STATIC, Reason.DISABLED})
"""Reasons of values that are the same for every request."""

_NO_ATTRIBUTES: Final[Mapping[str, Any]] = MappingProxyType({})


class Side(StrEnum):
    """One of the two models: the primary answers today, the candidate may replace it."""

    PRIMARY = "primary"
    CANDIDATE = "candidate"

    @property
    def other(self) -> "Side":
        """Return the other side."""
        return Side.CANDIDATE if self is Side.PRIMARY else Side.PRIMARY


@dataclass(frozen=True, slots=True)
class Assignment:
    """The side that the flag chose for one request, with the reason and any error."""

    active: Side
    flag: str
    reason: str
    """OpenFeature reason in lower case, as the semantic conventions spell it: `split`, `error`."""
    variant: str | None = None
    provider: str = ""
    error: str | None = None
    """OpenFeature error code in lower case; the primary is active whenever it is set."""
    error_message: str | None = None
    rollout: float | None = None
    """Rollout of the flag as the provider knows it, 0-100; None if unknown."""
    shadow: bool = True
    """Whether the side that is not active is scored as well."""
    payload: str | None = None
    """Payload of the flag's variant: JSON that may carry the candidate's thresholds."""
    stickiness: str | None = None
    """Context field whose value the flag hashes, usually `requestId`; None if unknown."""


class Assign(Protocol):
    """Choose the active side for a request id and the request's attributes."""

    def __call__(self, request_id: str, attributes: Mapping[str, str]) -> Assignment:
        """Return the assignment."""
        ...


class FlagAssignment:
    """Assign requests by an OpenFeature flag: if it is on, the candidate is active.

    If the flag cannot be evaluated, the primary is active and the assignment has the error.
    """

    def __init__(
        self, flag: str, domain: str = DOMAIN, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.flag = flag
        self._shadow_flag = flag + SHADOW_SUFFIX
        self._client = api.get_client(domain)
        self._clock = clock
        self._shadow_cache: tuple[bool, float] = (True, float("-inf"))

    def __call__(
        self, request_id: str, attributes: Mapping[str, str] = _NO_ATTRIBUTES
    ) -> Assignment:
        """Return the assignment; never raises."""
        context = EvaluationContext(request_id, dict(attributes))
        try:
            details = self._client.get_boolean_details(self.flag, False, context)
            shadow = self._shadow(context)
            provider = self._client.provider.get_metadata().name
        except Exception as error:
            # OpenFeature hooks and foreign providers may raise; the primary answers all the same.
            logger.exception("flag %s could not be evaluated: the primary answers", self.flag)
            return Assignment(Side.PRIMARY, self.flag, "error", error=type(error).__name__)
        return _to_assignment(details, shadow, provider)

    def _shadow(self, context: EvaluationContext) -> bool:
        """Evaluate the shadow flag, usually once in `SHADOW_CACHE_SECONDS`, not per request.

        A flag that is on, off or missing for every request is cached, because evaluating it would
        double the cost of an assignment. A flag that samples is evaluated for each request.
        """
        cached, until = self._shadow_cache
        now = self._clock()
        if now < until:
            return cached
        details = self._client.get_boolean_details(self._shadow_flag, True, context)
        # A disabled flag returns the caller's default, which here is meant for a missing flag.
        disabled = details.reason == Reason.DISABLED
        disabled = disabled or details.flag_metadata.get("enabled") is False
        is_on = details.value and not disabled
        if details.reason in _SAME_FOR_ALL or details.error_code is ErrorCode.FLAG_NOT_FOUND:
            self._shadow_cache = (is_on, now + SHADOW_CACHE_SECONDS)
        return is_on


def _to_assignment(details: FlagEvaluationDetails[bool], shadow: bool, provider: str) -> Assignment:
    error = str(details.error_code.value).lower() if details.error_code else None
    names = ("rollout", "payload", "stickiness")
    rollout, payload, stickiness = (details.flag_metadata.get(name) for name in names)
    return Assignment(
        active=Side.CANDIDATE if details.value is True and error is None else Side.PRIMARY,
        flag=details.flag_key,
        reason=str(details.reason or "unknown").lower(),
        variant=details.variant,
        provider=provider,
        error=error,
        error_message=details.error_message,
        rollout=float(rollout) if isinstance(rollout, int | float) else None,
        shadow=shadow,
        payload=str(payload) if payload is not None else None,
        stickiness=str(stickiness) if stickiness is not None else None,
    )
