"""Which shadows of a worker gather, and for how long."""

from collections.abc import Callable
from typing import Final

from flags.pairing.assignment import Side
from flags.pairing.shadow_schedule import AnswerSent, ShadowSchedule
from flags.serving.plan import Plan
from flags.serving.sides.placement import Placement

_LONGER_FOR_BATCHES: Final = 2
"""Times `SHADOW_INTERVAL`: below a hundred requests per second, what a shadow takes of a call falls
with how many are in it, and nobody waits for any of them."""


def shadow_schedule(plan: Plan) -> ShadowSchedule | None:
    """Return where shadows gather, if some do."""
    settings = plan.settings
    if not settings.shadow_interval or (_is_over_http(plan) and not plan.batches):
        return None
    interval = settings.shadow_interval * (_LONGER_FOR_BATCHES if plan.batches else 1)
    # Half of them, so that as many can gather while these are scored.
    return ShadowSchedule(interval, most=max(1, settings.shadow_concurrency // 2))


def _is_over_http(plan: Plan) -> bool:
    return plan.placement is Placement.RUNNERS or Side.CANDIDATE not in plan.services


def arrived(plan: Plan, api: str, schedule: ShadowSchedule | None) -> Callable[[], AnswerSent]:
    """Return when the shadows of `api` begin; those of other processes over HTTP do not gather.

    They take little of the processor here, and their server batches, and sheds. For a method that
    takes many, they gather wherever they are scored.
    """
    if schedule is None or (_is_over_http(plan) and api not in plan.batches):
        return AnswerSent
    return schedule.arrived
