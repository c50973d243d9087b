"""Checks of texts by preferences: the win rate, and the reliability of the judge."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.error_rate import error_share
from flags.gate.evidence import Count, Evidence, PreferenceEvidence
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import percent
from flags.gate.plain_check import plain
from flags.gate.sequences import MeanSequence, WinRateSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step

FALSIFICATION: Final = 0.01
"""Error rate, over all looks, of the test on two answers of the same model."""

_TIE: Final = 0.5
_WON: Final = Wording(
    "the candidate's text is preferred in {figure} of the pairs that differ",
    percent,
    " %",
    wanted="judged pairs",
)


def preference_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the win rate of each judged output, and the checks of the judge.

    The win rate must pass if the step demands labels: a preference is the label of a text. It rolls
    back as recall does, with the same share of the error rate.
    """
    if not playbook.expects_labels:
        return
    if evidence.unknown_preferences is not None and evidence.unknown_preferences.count:
        limit = playbook.gate_of(step).advance.unknown_labels
        yield _unknown(evidence.unknown_preferences, limit)
    for each in evidence.preferences:
        yield _win_rate(each, playbook, step, evidence.sharing)
        if each.consistent.total:
            yield _consistency(each, playbook, step)
        if each.same_model:
            yield _noise(each)


def is_as_good(evidence: Evidence, playbook: Playbook, step: Step, output: str) -> bool | None:
    """Say whether preferences prove that the texts of an output are as good; None without any."""
    if not playbook.expects_labels:
        return None
    found = [each for each in evidence.preferences if each.output in (output, None)]
    if not found:
        return None
    check = _win_rate(found[0], playbook, step, evidence.sharing)
    consistency = _consistency(found[0], playbook, step)
    return check.outcome is Outcome.PASS and consistency.outcome is Outcome.PASS


def _win_rate(
    preferences: PreferenceEvidence, playbook: Playbook, step: Step, outputs: int
) -> Check:
    gate = playbook.gate_of(step, output=preferences.output)
    limit = Bounds(gate.advance.win_rate, gate.rollback.win_rate)
    sequence = WinRateSequence(preferences.units)
    units = sum(each.units for each in preferences.units)
    wording = _WON if units == preferences.pairs else replace(_WON, counted="units")
    check = LimitCheck(
        "win_rate",
        sequence,
        wording,
        units,
        preferences.pairs,
        low=limit,
        output=preferences.output,
        rolls_back=True,
        required=playbook.labels_wanted(step) > 0,
    ).answer(playbook.error_rate, error_share(playbook.error_rate, "recall_loss", outputs))
    if check.figure is None:
        return replace(check, reason="no pair of these models has been judged")
    ties = sum(each.units for each in preferences.units if each.lowest == each.highest == _TIE)
    if 2 * ties > units:
        check = replace(check, reason=f"{check.reason}; {ties:,} of them are ties")
    if preferences.failed:
        failed = f"; the judge failed on {preferences.failed:,}, which count against either side"
        check = replace(check, reason=check.reason + failed)
    surely = sequence.below(limit.advance, playbook.error_rate / 2)
    return replace(check, required=check.required or surely)


def _unknown(unknown: Count, limit: float) -> Check:
    """Check that few preferences belong to no pair: their ids may have been changed."""
    share = unknown.rate or 0.0
    reason = (
        f"{unknown.count:,} of {unknown.total:,} preferences belong to no pair "
        f"({percent(share)} %, limit {percent(limit)} %)"
    )
    outcome = Outcome.FAIL if share > limit else Outcome.PASS
    return plain("unknown_preferences", outcome, unknown.total, reason, figure=share, limit=limit)


def _consistency(preferences: PreferenceEvidence, playbook: Playbook, step: Step) -> Check:
    """Check that the judge names the same winner in both orders, and not the first answer.

    Pairs judged by position are ties, which hide how much worse the candidate is on the others.
    """
    limit = playbook.gate_of(step, output=preferences.output).advance.judge_consistency
    count = preferences.consistent
    share = 1.0 if count.rate is None else count.rate
    reason = (
        f"the judge names the same winner in both orders in {percent(share)} % of {count.total:,} "
        f"pairs, limit {percent(limit)} %"
    )
    if share < limit:
        reason += ": it goes by the order of the answers, which tells nothing of the texts"
    outcome = Outcome.FAIL if share < limit else Outcome.PASS
    check = plain("judge_consistency", outcome, count.total, reason, figure=share, limit=limit)
    return replace(check, output=preferences.output, required=False)


def _noise(preferences: PreferenceEvidence) -> Check:
    """Check that the judge prefers neither side on two answers of the same model."""
    sequence = MeanSequence(preferences.same_model)
    half = FALSIFICATION / 2
    differs = sequence.above(_TIE, half) or sequence.below(_TIE, half)
    low, high = sequence.interval(FALSIFICATION)
    decided = sum(each.units for each in preferences.same_model if each.value != _TIE)
    value = sequence.value or 0.0
    reason = (
        f"the candidate's side wins {percent(value)} % of {sequence.units:,} pairs of the same "
        f"model twice ({percent(1 - FALSIFICATION)} % CI {percent(low)}-{percent(high)}), of which "
        f"the judge called {sequence.units - decided:,} a tie"
    )
    if differs:
        reason += (
            ": with nothing to find it must be half, so something else than the model tells the "
            "sides apart"
        )
    return Check(
        "judge_noise",
        preferences.output,
        None,
        Outcome.FAIL if differs else Outcome.PASS,
        value,
        low,
        high,
        _TIE,
        sequence.units,
        reason,
        confidence=1 - FALSIFICATION,
    )
