"""Checks of the labels themselves: their number, the pairs they belong to, and their selection."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flags.gate.answered_labels import answered_labels, is_substantial, positives_by_answered_alarm
from flags.gate.checks.answers import labels_of_answer
from flags.gate.checks.early_labels import early_recall_check
from flags.gate.evidence import (
    AnswerEvidence,
    Count,
    Evidence,
    GivenLabels,
    Labelling,
    Output,
)
from flags.gate.number_format import percent, plural, points
from flags.gate.plain_check import plain
from flags.gate.selection import COMPLETE, caught, comes_first_for_alarms, coverage
from flags.gate.sequences import DifferenceSequence
from flags.gate.verdict import Check, Outcome
from flags.playbook.durations import duration_text
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook, Step

_COVERAGE_P: Final = 0.001


def label_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of demanded and of given labels."""
    if not playbook.expects_labels:
        yield _no_labels_ever(evidence)
        return
    given, gate = evidence.labels, playbook.gate_of(step)
    labelled = [each for each in evidence.outputs if each.labelling is not None]
    answers = [each for each in evidence.answers if each.labelled]
    young = sum(each.early_labels.count for each in evidence.answers)
    if given is not None and given.requests:
        yield _unknown_labels(evidence, given, gate.advance.unknown_labels)
    if given is not None and evidence.compared > 1 and not (labelled or answers or young):
        yield _ambiguous_column(evidence, given)
    elif playbook.labels_wanted(step):
        if labelled or not (answers or _are_texts(evidence)):
            yield from _label_counts(evidence, labelled, given, playbook, step, young)
        for answer in answers:
            yield labels_of_answer(answer, playbook, step)
        if labelled or answers:
            yield from _unlabelled_outputs(evidence, playbook, step)
    for answer in evidence.answers:
        if answer.early_labels.count:
            yield _young_answer_labels(answer, playbook)
    for output in labelled:
        if output.labelling is not None:
            limits = playbook.gate_of(step, output=output.name)
            yield from _young_labels(output.name, output.labelling, playbook, limits)
            yield from _coverage(output.name, output.labelling, limits)


def _young_answer_labels(answer: AnswerEvidence, playbook: Playbook) -> Check:
    """Return the number of labels that do not count yet; `parts` checks what they show."""
    return plain(
        "young_labels",
        Outcome.PASS,
        answer.early_labels.count,
        f"{_young_words(answer.early_labels, playbook)} do not count yet",
        output=answer.name,
    )


def _young_words(young: Count, playbook: Playbook) -> str:
    cut_off = duration_text(playbook.label_cut_off)
    return f"{young.count:,} labels of {young.total:,} pairs younger than label_cut_off ({cut_off})"


def _are_texts(evidence: Evidence) -> bool:
    """Say whether only texts are compared, whose labels are preferences."""
    others = evidence.outputs or any(each.kind != "text" for each in evidence.answers)
    return not others and bool(evidence.answers or evidence.preferences)


def _no_labels_ever(evidence: Evidence) -> Check:
    given = evidence.labels.requests if evidence.labels else 0
    reason = (
        "the playbook says that there will never be labels (labels: none), so nothing shows "
        "whether the candidate is right"
    )
    if given:
        reason += f"; the {given:,} labels that were given decide nothing"
    return plain("labels", Outcome.PASS, given, reason)


def _ambiguous_column(evidence: Evidence, given: GivenLabels) -> Check:
    every = [each.name for each in evidence.outputs] + [each.name for each in evidence.answers]
    names = list(dict.fromkeys(every))
    reason = (
        f"no label is used: the column {', '.join(given.columns)} does not say which of the "
        f"outputs {', '.join(names)} it is about; name it label.{names[0]}, for example"
    )
    return plain("labels", Outcome.INCONCLUSIVE, given.requests, reason)


def _no_label_reason(evidence: Evidence, given: GivenLabels) -> str:
    """Return why no compared output has a label: the columns name other outputs, or none came."""
    names = [*(each.name for each in evidence.outputs), *(each.name for each in evidence.answers)]
    strange = [
        column
        for column in given.columns
        if column.startswith("label.") and column.removeprefix("label.") not in names
    ]
    if not strange or not names:
        return "no label has come"
    return f"the column {', '.join(strange)} is about no output: these are {', '.join(names)}"


def _label_counts(
    evidence: Evidence,
    labelled: list[Output],
    given: GivenLabels | None,
    playbook: Playbook,
    step: Step,
    young: int,
) -> Iterator[Check]:
    """Check that each labelled output has enough labels and positives, and that there is one."""
    if not labelled:
        reason = _no_label_reason(evidence, given) if given else "no labels were given"
        if young:
            reason = f"none of the {young:,} labels counts yet"
        limit = playbook.gate_of(step).advance.min_positives
        reason += (
            f", and {limit:,} positives are wanted before this step is left; if there will never "
            "be any, say so in the playbook (labels: none)"
        )
        yield plain("labels", Outcome.INCONCLUSIVE, 0, reason, figure=0, limit=limit)
    for output in labelled:
        yield _positives(output, playbook, step)


def _unlabelled_outputs(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield a check for each output with a threshold that has no labels, while others have some."""
    answers = {each.name for each in evidence.answers}
    for output in evidence.outputs:
        if output.alarms is None or output.labelling is not None or output.name in answers:
            continue
        limit = playbook.gate_of(step, output=output.name).advance.min_positives
        reason = (
            f"no label is about it (column label.{output.name}), and {limit:,} positives are "
            "wanted before this step is left; if there will never be any, say so in the playbook "
            f"(outputs.{output.name}.gate.advance.min_positives: 0)"
        )
        if not limit:
            reason = "no label is about it, and the playbook wants none (min_positives: 0)"
        yield plain(
            "labels",
            Outcome.INCONCLUSIVE if limit else Outcome.PASS,
            0,
            reason,
            figure=0,
            limit=limit,
            output=output.name,
        )


def _positives(output: Output, playbook: Playbook, step: Step) -> Check:
    limits = playbook.gate_of(step, output=output.name).advance
    quality, wanted = output.quality, playbook.labels_wanted(step)
    labels, positives = (quality.labelled, quality.positives) if quality else (0, 0)
    lacking = limits.min_positives - positives
    reason = f"{plural(positives, 'positive')} of {limits.min_positives:,}"
    needed = None
    cells = output.labelling.young if output.labelling else ()
    young = Count(sum(each.labelled for each in cells), sum(each.pairs for each in cells))
    if lacking > 0 and young.count:
        reason = f"{_young_words(young, playbook)} do not count yet: {reason}"
    if lacking > 0:
        reason += f": {lacking:,} more needed"
        needed = round(lacking * labels / positives) if positives else lacking
    reason += f"; {plural(labels, 'label')} of {wanted:,}"
    if labels < wanted:
        reason += f": {wanted - labels:,} more needed"
        needed = max(needed or 0, wanted - labels)
    return plain(
        "labels",
        Outcome.PASS if needed is None else Outcome.INCONCLUSIVE,
        labels,
        reason,
        figure=positives,
        limit=limits.min_positives,
        output=output.name,
        needed=needed,
    )


def _unknown_labels(evidence: Evidence, given: GivenLabels, limit: float) -> Check:
    """Check that few labels belong to no pair: their ids may have been changed.

    If nearly every pair has its label, the other labels are of requests outside of the window.
    """
    share = given.unknown / given.requests
    old = [each.labelling.old for each in evidence.outputs if each.labelling is not None]
    complete = bool(old) and all((coverage(cells) or 0.0) >= COMPLETE for cells in old)
    reason = (
        f"{given.unknown:,} of {given.requests:,} labels belong to no pair ({percent(share)} %, "
        f"limit {percent(limit)} %)"
    )
    if given.unknown and given.unknown_ids and given.pair_ids:
        reason += (
            f": ids of such labels are {_quoted(given.unknown_ids)}, of pairs "
            f"{_quoted(given.pair_ids)}"
        )
    if share > limit and complete:
        reason += "; each pair that is old enough has its label all the same"
    return plain(
        "unknown_labels",
        Outcome.PASS if share <= limit or complete else Outcome.FAIL,
        given.requests,
        reason,
        figure=share,
        limit=limit,
    )


def _quoted(ids: tuple[str, ...]) -> str:
    return ", ".join(repr(each) for each in ids)


def _young_labels(
    output: str, labelling: Labelling, playbook: Playbook, gate: Gate
) -> Iterator[Check]:
    """Check the labels that do not count yet: hold if they show a loss of the candidate.

    Labels that come early may be a selection, so they prove nothing in favour of a side. If they
    come first for alarms, they prove nothing against a side either.
    """
    labels = sum(each.labelled for each in labelling.young)
    if not labels:
        return
    pairs, table = sum(each.pairs for each in labelling.young), caught(labelling.young)
    reason = f"{_young_words(Count(labels, pairs), playbook)} do not count yet"
    sequence = DifferenceSequence(table)
    if sequence.value is None:
        yield plain("young_labels", Outcome.PASS, labels, reason, output=output)
        return
    error_rate, loss = playbook.error_rate, gate.advance.recall_loss
    low, high = sequence.interval(error_rate)
    rates = [side.rate or 0.0 for side in (table.primary, table.candidate)]
    reason += (
        f"; by them, recall is {percent(rates[0])} % for the primary and {percent(rates[1])} % for "
        f"the candidate ({percent(1 - error_rate)} % CI of the difference {points(low)} to "
        f"{points(high)} points, positives={table.pairs:,})"
    )
    holds = False
    early = early_recall_check(labelling, gate, error_rate)
    _, unalarmed = positives_by_answered_alarm(labelling.young)
    if comes_first_for_alarms(labelling.young, gate.advance.label_coverage_gap):
        reason += ": they came first for alarms, so this says little"
    elif not is_substantial(unalarmed, error_rate / 2):
        reason += (
            f": this says little, since {unalarmed.count:,} of {unalarmed.total:,} positives had "
            "no alarm of the side that answered"
        )
    elif answered := answered_labels(labelling.young, labelling.mean_burst_size):
        reason += f": this says little, since {answered.dependence}"
    elif sequence.value < -loss and high < 0:
        holds = True
        reason += f", limit {points(-loss)} points: wait until they count"
    elif early:
        holds = True
        reason += f"; of all labels that are there, {early.reason}; or wait until these count"
    found = plain(
        "young_labels",
        Outcome.INCONCLUSIVE if holds else Outcome.PASS,
        labels,
        reason,
        figure=sequence.value,
        limit=-loss,
        output=output,
        needed=early.more_needed if holds and early else None,
    )
    yield replace(found, low=low, high=high, confidence=1 - error_rate)


def _coverage(output: str, labelling: Labelling, gate: Gate) -> Iterator[Check]:
    """Check whether the share of labelled pairs depends on the side that answered."""
    rates = {side: count.rate for side, count in labelling.coverage.items()}
    primary, candidate = rates.get("primary"), rates.get("candidate")
    if primary is None or candidate is None or labelling.coverage_p is None:
        return
    gap = 1 - min(primary, candidate) / max(primary, candidate)
    limit = gate.advance.label_coverage_gap
    yield plain(
        "label_coverage_gap",
        Outcome.FAIL if gap > limit and labelling.coverage_p < _COVERAGE_P else Outcome.PASS,
        sum(count.total for count in labelling.coverage.values()),
        f"labels have come for {percent(candidate)} % of what the candidate served and "
        f"{percent(primary)} % of what the primary served: the smaller share is {percent(gap)} % "
        f"below the other, limit {percent(limit)} %",
        figure=gap,
        limit=limit,
        output=output,
    )
