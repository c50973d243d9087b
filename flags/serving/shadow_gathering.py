"""The choice of the shadows of a worker that are gathered, and of the time for which they are."""

from collections.abc import Callable
from typing import Final

from flags.pairing.assignment import Side
from flags.pairing.shadow_schedule import AnswerSent, ShadowSchedule
from flags.serving.plan import Plan
from flags.serving.sides.placement import Placement

_BATCH_INTERVALS: Final = 2
"""Multiple of `SHADOW_INTERVAL` for which shadows gather if they are scored in batches. Below a
hundred requests per second, a shadow costs less the more of them are in a call."""


def shadow_schedule(plan: Plan) -> ShadowSchedule | None:
    """Return the schedule of shadows; None if no shadows are gathered."""
    settings = plan.settings
    if not settings.shadow_interval or (_is_over_http(plan) and not plan.batches):
        return None
    interval = settings.shadow_interval * (_BATCH_INTERVALS if plan.batches else 1)
    # Half of the limit, so that as many again can gather while these are scored.
    return ShadowSchedule(interval, max_gathered=max(1, settings.shadow_concurrency // 2))


def _is_over_http(plan: Plan) -> bool:
    return plan.placement is Placement.RUNNERS or Side.CANDIDATE not in plan.services


def answer_started(
    plan: Plan, api: str, schedule: ShadowSchedule | None
) -> Callable[[], AnswerSent]:
    """Return the function that creates the `AnswerSent` of each request to `api`.

    Shadows that are scored over HTTP are not gathered: they take little processor time here, and
    their server batches and sheds. For a batch method, shadows are gathered in any case.
    """
    if schedule is None or (_is_over_http(plan) and api not in plan.batches):
        return AnswerSent
    return schedule.answer_started
