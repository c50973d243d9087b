"""Checks of countable properties of texts: length, refusals, and declared formats.

The quality of texts is checked by preferences: see `flags.gate.checks.preferences`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import after_a_day
from flags.gate.checks.answers import excused
from flags.gate.checks.levels import at_once, level_check, mean_of
from flags.gate.checks.parts import PartLimit, part_checks
from flags.gate.checks.preferences import is_as_good
from flags.gate.error_rate import error_share
from flags.gate.evidence import UNWRITTEN, AnswerEvidence, Count, Evidence, Paired, UnitShare
from flags.gate.limits import Bounds
from flags.gate.number_format import points
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.pairing.kinds.text import EMPTY, REFUSAL
from flags.playbook.model import Playbook, Step
from flags.playbook.stages import Stage

LENGTH: Final = "length"
RULE: Final = "rule_"
"""Key, and beginning of keys, of `TextEvidence.levels`."""


@dataclass(frozen=True, slots=True)
class TextEvidence(AnswerEvidence):
    """The evidence on an output that is a text: counts only, without any text."""

    exact_match: Count
    """Pairs with equal texts."""
    normalised_match: Count
    """Pairs with equal texts in normal form: case-folded, Unicode NFKC."""
    characters: Mapping[str, float | None]
    """By side, the mean length in characters."""
    rules: Mapping[str, Paired]
    """By rule, the texts that break it: that refuse, or lack the format."""
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)
    """Values for the checks, by figure (`length`, `rule_<name>`) and way of counting (`request`,
    `block`, `unit`): differences of the sides, from -1 to 1."""


EVIDENCE: Final = TextEvidence
"""Class of the first argument of `checks`."""


def checks(
    answer: TextEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output that is a text."""
    if step.stage is Stage.DEPRECATION:
        return
    is_good = is_as_good(evidence, playbook, step, answer.name)
    yield _length(answer, playbook, step, quality_shown=is_good is True)
    share = error_share(playbook.error_rate, "text_rule", evidence.sharing * len(answer.rules))
    for rule in answer.rules:
        yield _rule(answer, rule, evidence, playbook, step, share)
    yield from part_checks(answer, playbook, step, _part_limits(answer, playbook, step))
    if is_good is None and (missing := _unjudged(answer, evidence, playbook, step)) is not None:
        yield missing


def _part_limits(answer: TextEvidence, playbook: Playbook, step: Step) -> list[PartLimit]:
    advance = playbook.gate_of(step, output=answer.name).advance
    length = advance.text_length
    return [
        PartLimit(LENGTH, mean_of(-1.0), _LENGTH, high=length, low=-length),
        *(
            PartLimit(RULE + rule, mean_of(-1.0), _worded(rule), high=advance.text_rule)
            for rule in answer.rules
        ),
    ]


def _unjudged(
    answer: TextEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Check | None:
    """Return the check that holds if neither preferences nor a rule show the texts' quality."""
    if playbook.labels_wanted(step):
        given = evidence.unknown_preferences
        what = "no preferences were given"
        if given is not None:
            what = f"none of the {given.total:,} preferences that were given is of these pairs"
        reason = (
            f"{what}, so nothing shows whose texts are better: "
            "`bentoml migration judge` asks for them"
        )
        return plain("win_rate", Outcome.INCONCLUSIVE, 0, reason, output=answer.name)
    if not playbook.expects_labels and not set(answer.rules) - {EMPTY}:
        reason = (
            "there will be no preferences (labels: none) and no rule was declared, so nothing "
            "shows that the texts are as good"
        )
        return plain("win_rate", Outcome.INCONCLUSIVE, 0, reason, output=answer.name)
    return None


def _length(answer: TextEvidence, playbook: Playbook, step: Step, *, quality_shown: bool) -> Check:
    limit = playbook.gate_of(step, output=answer.name).advance.text_length
    check = replace(
        level_check(answer, "text_length", LENGTH, _LENGTH, -1.0),
        high=Bounds(limit, limit),
        low=Bounds(-limit, -limit),
        required=not quality_shown,
    ).answer(playbook.error_rate)
    return excused(check, "preferences show that they are as good") if quality_shown else check


def _rule(
    answer: TextEvidence,
    rule: str,
    evidence: Evidence,
    playbook: Playbook,
    step: Step,
    share: float,
) -> Check:
    """Compare how often the sides break a rule: after a day, or at any time if far more often.

    Both limits are compared with the same wealth, so together they spend one share.
    """
    gate = playbook.gate_of(step, output=answer.name)
    base = level_check(answer, "text_rule", RULE + rule, _worded(rule), -1.0)
    later, now = (
        replace(
            each, high=Bounds(gate.advance.text_rule, gate.rollback.limit(limit)), rolls_back=True
        ).answer(playbook.error_rate, share)
        for each, limit in ((base, "text_rule"), (at_once(base), "text_rule_now"))
    )
    chosen = now if now.outcome is Outcome.FAIL else after_a_day(evidence, later)
    return replace(chosen, subject=rule)


_LENGTH: Final = Wording(
    "texts {figure} longer than the primary's, by the longer one", points, " %"
)


def _worded(rule: str) -> Wording:
    words = {REFUSAL: "refuses {figure} more often", EMPTY: "says nothing {figure} more often"}
    what = words.get(rule, f"breaks {rule} {{figure}} more")
    return Wording(f"{what} than the primary", points, " points")
