"""Checks of a text by what can be counted: its length, refusals, and formats that it should have.

Whether it is as good nobody can count: `flags.gate.checks.preferences` has the win rate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import young
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
"""Figures of `TextEvidence.levels`."""


@dataclass(frozen=True, slots=True)
class TextEvidence(AnswerEvidence):
    """Compare the texts of both sides by what can be counted; none of them is in here.

    `levels` hold what the checks count, by figure (`length`, `rule_<name>`) and way of counting
    (`request`, `block`, `unit`): differences of the sides, from -1 to 1.
    """

    exact: Count
    """Pairs with the same text."""
    normal: Count
    """Pairs whose texts are the same in normal form: without case, by Unicode's NFKC."""
    characters: Mapping[str, float | None]
    """Mean by side."""
    rules: Mapping[str, Paired]
    """By rule, texts that refuse, or have not the format."""
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)


EVIDENCE: Final = TextEvidence
"""What `flags.gate.checks.answers` hands to `checks`."""


def checks(
    found: TextEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output."""
    if step.stage is Stage.DEPRECATION:
        return
    shown = is_as_good(evidence, playbook, step, found.name)
    yield _length(found, playbook, step, shown=shown is True)
    share = error_share(playbook.error_rate, "text_rule", evidence.sharing * len(found.rules))
    for rule in found.rules:
        yield _rule(found, rule, evidence, playbook, step, share)
    yield from part_checks(found, playbook, step, _part_limits(found, playbook, step))
    if shown is None and (missing := _unjudged(found, evidence, playbook, step)) is not None:
        yield missing


def _part_limits(found: TextEvidence, playbook: Playbook, step: Step) -> list[PartLimit]:
    advance = playbook.gate_of(step, output=found.name).advance
    length = advance.text_length
    return [
        PartLimit(LENGTH, mean_of(-1.0), _LENGTH, high=length, low=-length),
        *(
            PartLimit(RULE + rule, mean_of(-1.0), _worded(rule), high=advance.text_rule)
            for rule in found.rules
        ),
    ]


def _unjudged(
    found: TextEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Check | None:
    """Say what is missing where nothing shows that the texts are as good."""
    if playbook.labels_wanted(step):
        given = evidence.unknown_preferences
        what = "no preferences were given"
        if given is not None:
            what = f"none of the {given.total:,} preferences that were given is of these pairs"
        reason = (
            f"{what}, so nothing shows whose texts are better: "
            "`bentoml migration judge` asks for them"
        )
        return plain("win_rate", Outcome.INCONCLUSIVE, 0, reason, output=found.name)
    if not playbook.expects_labels and not set(found.rules) - {EMPTY}:
        reason = (
            "there will be no preferences (labels: none) and no rule was declared, so nothing "
            "shows that the texts are as good"
        )
        return plain("win_rate", Outcome.INCONCLUSIVE, 0, reason, output=found.name)
    return None


def _length(found: TextEvidence, playbook: Playbook, step: Step, *, shown: bool) -> Check:
    limit = playbook.gate_of(step, output=found.name).advance.text_length
    check = replace(
        level_check(found, "text_length", LENGTH, _LENGTH, -1.0),
        high=Bounds(limit, limit),
        low=Bounds(-limit, -limit),
        required=not shown,
    ).answer(playbook.error_rate)
    return excused(check, "preferences show that they are as good") if shown else check


def _rule(
    found: TextEvidence,
    rule: str,
    evidence: Evidence,
    playbook: Playbook,
    step: Step,
    share: float,
) -> Check:
    """Compare how often the sides break a rule: by day, and at once if by much.

    Both are one wealth against two limits, so together they spend one share.
    """
    gate = playbook.gate_of(step, output=found.name)
    base = level_check(found, "text_rule", RULE + rule, _worded(rule), -1.0)
    later, now = (
        replace(
            each, high=Bounds(gate.advance.text_rule, gate.rollback.limit(limit)), rolls_back=True
        ).answer(playbook.error_rate, share)
        for each, limit in ((base, "text_rule"), (at_once(base), "text_rule_now"))
    )
    chosen = now if now.outcome is Outcome.FAIL else young(evidence, later)
    return replace(chosen, subject=rule)


_LENGTH: Final = Wording(
    "texts {figure} longer than the primary's, by the longer one", points, " %"
)


def _worded(rule: str) -> Wording:
    words = {REFUSAL: "refuses {figure} more often", EMPTY: "says nothing {figure} more often"}
    what = words.get(rule, f"breaks {rule} {{figure}} more")
    return Wording(f"{what} than the primary", points, " points")
