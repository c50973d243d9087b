"""A verdict in a few sentences: why, what happens next, and since when."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from comparison.evidence.number_format import span
from comparison.judgement.judgement import Judgement
from comparison.report.check_format import title
from comparison.report.forecast import forecast, moment
from flags.gate.evidence import Evidence
from flags.gate.next_step import next_step
from flags.gate.number_format import plural
from flags.gate.verdict import Check, Decision, Outcome

REASONS: Final = 3
"""Reasons that are shown first."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The sentences about a verdict; `reasons` are the gravest, `more` the others."""

    decision: Decision
    consequence: str
    reasons: tuple[str, ...]
    more: tuple[str, ...]
    following: tuple[str, ...]
    """What happens next, and what is missing for it."""
    since: tuple[str, ...]
    """Since when the step lasts, alarms differ, and when the latest pair was."""


def headline(evidence: Evidence, judgement: Judgement) -> Headline:
    """Return the sentences about a verdict."""
    verdict = judgement.verdict
    return Headline(
        decision=verdict.decision,
        consequence=judgement.consequence,
        reasons=verdict.reasons[:REASONS],
        more=verdict.reasons[REASONS:],
        following=tuple(_following(evidence, judgement)),
        since=tuple(_since(evidence, judgement)),
    )


def _following(evidence: Evidence, judgement: Judgement) -> Iterator[str]:
    verdict, playbook = judgement.verdict, judgement.playbook
    if verdict.decision is Decision.ROLLBACK:
        yield "the primary answers every request; what both sides would have said is kept"
        yield f"once the failure is fixed, begin again at {playbook.steps[0].name}"
        return
    if verdict.decision is Decision.ADVANCE:
        after = playbook.after(judgement.step)
        yield (
            f"{after.name} is held for {span(after.hold.total_seconds())} at least, "
            f"with {plural(after.min_pairs, 'pair')}"
            if after
            else "`bentoml migration retire` says what can be removed, in order"
        )
        return
    undecided = [
        each for each in verdict.checks if each.required and each.outcome is Outcome.INCONCLUSIVE
    ]
    failed = [each for each in verdict.checks if each.outcome is Outcome.FAIL]
    if to_fix := [*failed, *(each for each in undecided if each.beyond_advance_limit)]:
        yield f"to be fixed: {_named(to_fix)}"
    if open_checks := [each for each in undecided if not each.beyond_advance_limit]:
        pairs = max((each.more_needed or 0 for each in open_checks), default=0)
        more = f" (about {pairs:,} more pairs or labels)" if pairs else ""
        yield f"not decided yet: {_named(open_checks)}{more}"
    if following := next_step(evidence, verdict, playbook, judgement.step):
        yield f"next: {forecast(following, evidence.window.until)}"


def _since(evidence: Evidence, judgement: Judgement) -> Iterator[str]:
    window = evidence.window
    yield f"{judgement.step.name} since {moment(window.since)} ({span(window.age)})"
    for check in judgement.verdict.checks:
        if check.since is not None and check.outcome is not Outcome.PASS:
            output = f" of {check.output}" if len(evidence.outputs) > 1 else ""
            yield f"other alarms{output} since about {moment(check.since)}"
    if window.last is not None:
        yield f"latest pair {moment(window.last)}"


def _named(checks: Iterable[Check]) -> str:
    """Name each kind of check once, with the number of such checks if there are several."""
    counts = Counter(title(check.name) for check in checks)
    return "; ".join(name if n == 1 else f"{name} ({n})" for name, n in counts.items())
