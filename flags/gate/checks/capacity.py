"""A check of how many alarms a day there would be at the next step."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC

from flags.gate.evidence import Evidence, Output
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step

_DAY = 86_400


def capacity_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the check of each output whose capacity is in the playbook. A failure holds.

    Both arms share the reviewers of the alarms, so a comparison of the arms cannot show that there
    are too many alarms.
    """
    following = playbook.after(step) if step in playbook.steps else None
    rollout = following.rollout if following else step.rollout
    counted = (evidence.window.until - evidence.window.comparable_since).total_seconds()
    for output in evidence.outputs:
        plan = playbook.outputs.get(output.name)
        if plan is not None and plan.capacity is not None and output.alarms is not None:
            yield _capacity(output, plan.capacity, rollout, counted)


def _capacity(output: Output, capacity: float, rollout: int, held: float) -> Check:
    primary, candidate = _a_day(output, held)
    share = rollout / 100
    expected = (1 - share) * primary + share * candidate
    return plain(
        "capacity",
        Outcome.PASS if expected <= capacity else Outcome.FAIL,
        output.alarms.pairs if output.alarms else 0,
        f"about {expected:,.0f} alarms a day at {rollout} % (the primary alone {primary:,.0f}, the "
        f"candidate {candidate:,.0f}), capacity {capacity:,.0f}",
        figure=expected,
        limit=capacity,
        output=output.name,
    )


def _a_day(output: Output, held: float) -> tuple[float, float]:
    """Return each side's alarms on its day with the most; less than a day is scaled up to one."""
    days: Counter[tuple[str, object]] = Counter()
    for period in output.periods:
        day = period.start.astimezone(UTC).date()
        days["primary", day] += period.alarms.primary.count
        days["candidate", day] += period.alarms.candidate.count
    scale = max(1.0, _DAY / held) if held > 0 else 1.0
    found = [
        max((n for (side, _), n in days.items() if side == which), default=0)
        for which in ("primary", "candidate")
    ]
    if scale > 1:
        found = [
            sum(n for (side, _), n in days.items() if side == which)
            for which in ("primary", "candidate")
        ]
    return found[0] * scale, found[1] * scale
