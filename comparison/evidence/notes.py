"""The notes of the evidence: sentences for the reader of a verdict."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from comparison.counts.tables import Aggregates
from comparison.evidence.number_format import p_value, percent, span, values_or_range
from comparison.pairs.accounting import Accounting
from flags.gate.evidence import (
    AnswerEvidence,
    Drift,
    GivenLabels,
    Integrity,
    Labelling,
    Output,
    Window,
)
from flags.gate.number_format import plural

COVERAGE_P: Final = 0.001
"""Below this p-value, a note says that label coverage depends on the served side."""

LISTED: Final = 5
"""Largest number of thresholds, models or flags that a note names."""


def window_notes(window: Window, now: datetime | None = None) -> Iterator[str]:
    """Yield notes on pairs of other rollouts and with wrong times."""
    if window.pairs_of_other_rollouts:
        unknown = window.pairs_without_rollout
        said = f", {unknown:,} of them without any" if unknown else ""
        yield (
            f"left out: {plural(window.pairs_of_other_rollouts, 'pair')} made while the worker saw "
            f"another rollout than {window.rollout:g}{said}"
        )
    if window.impossible_times:
        yield (
            f"set aside: {plural(window.impossible_times, 'pair')} with an impossible time: before "
            "2020, in the future, or against the order of the worker's numbers: a clock was wrong"
        )
    if window.first and window.first < window.since:
        early = (window.since - window.first).total_seconds()
        yield f"pairs are dated up to {span(early)} before the window: a clock is behind"
    end = min(window.until, now) if now else window.until
    if window.last and window.last > end:
        late = (window.last - end).total_seconds()
        yield f"pairs are dated up to {span(late)} after the evidence was taken: a clock is ahead"


def file_notes(aggregates: Aggregates, accounting: Accounting | None) -> Iterator[str]:
    """Yield notes on duplicates, on damaged or foreign content of pair files, and on lost pairs."""
    if aggregates.duplicates:
        yield f"{plural(aggregates.duplicates, 'duplicate')} left out: a span that came twice"
    if accounting is None:
        return
    if accounting.torn:
        files = plural(accounting.torn, "file")
        yield (
            f"{files} cut off (first: {accounting.first_torn}): a worker was killed while it "
            "wrote, or is writing, or the file was damaged"
        )
    if accounting.corrupt:
        lines = plural(accounting.corrupt, "line")
        yield f"{lines} could not be read (first: {accounting.first_corrupt})"
    if accounting.foreign:
        yield f"{plural(accounting.foreign, 'span')} of other programs left out"
    if accounting.negative_durations:
        yield (
            f"{plural(accounting.negative_durations, 'pair')} with a duration below zero, which no "
            "clock of ours gives: they count as the shortest"
        )
    others = {flag: pairs for flag, pairs in accounting.flags.items() if flag != aggregates.flag}
    if others:
        named = _listed([f"{flag} ({pairs:,})" for flag, pairs in others.items()])
        yield f"pairs of other flags are in the same place and left out: {named}"
    dropped = sum(worker.dropped for worker in accounting.workers)
    if dropped:
        yield f"{plural(dropped, 'pair')} could not be written, as the workers themselves report"
    cut = sum(worker.begin_removed for worker in accounting.workers)
    if cut:
        yield (
            f"no start record of {plural(cut, 'worker')}: pairs before the first one found are "
            "taken as removed, not as lost"
        )


def model_notes(integrity: Integrity) -> Iterator[str]:
    """Yield a note for each side on which several models ran."""
    for side, models in integrity.models.items():
        if len(models) > 1:
            named = _listed([f"{model} ({pairs:,})" for model, pairs in models.items()])
            yield f"the figures mix {len(models)} models of the {side}: {named}"


def output_notes(output: Output) -> Iterator[str]:
    """Yield notes on several thresholds, and on pairs without a score or threshold."""
    for side, thresholds in output.thresholds.items():
        if len(thresholds) > 1:
            yield threshold_note(output.name, side, thresholds)
    if output.unscored:
        left_out = plural(output.unscored, "pair")
        yield f"{output.name}: left out for lack of a finite score on a side: {left_out}"
    compared = output.alarms.pairs if output.alarms else 0
    if 0 < compared < output.paired:
        left_out = plural(output.paired - compared, "pair")
        yield f"{output.name}: left out of the alarms for lack of a threshold: {left_out}"


def threshold_note(output: str, side: str, thresholds: Sequence[float]) -> str:
    """Return a note on several thresholds of a side, ascending; many of them come with answers."""
    values = values_or_range(thresholds, LISTED)
    if len(thresholds) > LISTED:
        return f"{output}: the {side}'s threshold differs by request: {values}"
    return f"{output}: the {side}'s threshold changed meanwhile: {values}"


def label_notes(
    aggregates: Aggregates,
    outputs: Sequence[Output],
    given: GivenLabels | None,
    contradicted: int = 0,
    answers: Sequence[AnswerEvidence] = (),
) -> Iterator[str]:
    """Yield notes on labels without a pair, contradicting labels, and labels that show little."""
    if contradicted:
        requests = plural(contradicted, "request")
        yield f"{requests} with labels that contradict each other: the last one counts"
    if given is not None:
        names = [*(each.name for each in outputs), *(each.name for each in answers)]
        names = list(dict.fromkeys(names))
        yield from _given_notes(given, names)
        used = any(each.labelling for each in outputs)
        used = used or any(each.labelled or each.early_labels.count for each in answers)
        if len(names) > 1 and "label" in given.columns and not used:
            yield (
                "no label is used: the column label does not say which of the outputs "
                f"{_listed(names)} it is about; name it label.{names[0]}, for example"
            )
    if aggregates.repeated_labels:
        yield (
            f"{plural(aggregates.repeated_labels, 'pair')} repeat the id of a labelled request: "
            "its label counts once, for the first pair"
        )
    labelled = [output for output in outputs if output.labelling]
    if labelled and not any(output.quality for output in labelled):
        yield "labels were given, but none that counts is of a pair with a score on both sides"
    for output in labelled:
        if output.labelling:
            yield from _coverage_notes(output.name, output.labelling)
        if output.quality and output.quality.positives in (0, output.quality.labelled):
            which = "positive" if output.quality.positives else "negative"
            yield (
                f"{output.name}: all {output.quality.labelled:,} labels are {which}: they say "
                "nothing about how well either side tells one from the other"
            )


def _given_notes(given: GivenLabels, outputs: Sequence[str]) -> Iterator[str]:
    if given.unknown:
        example = ""
        if given.unknown_ids and given.pair_ids:
            example = f", e.g. {given.unknown_ids[0]!r}; a pair has {given.pair_ids[0]!r}"
        yield f"{plural(given.unknown, 'label')} belong to no pair{example}"
    others = [
        name for name in given.columns if name != "label" and name.partition(".")[2] not in outputs
    ]
    if others and outputs:
        yield f"{_listed(others)}: no such output here, only {_listed(outputs)}"


def drift_notes(drift: Sequence[Drift]) -> Iterator[str]:
    """Yield a note for each feature that could not be compared with its reference."""
    for each in drift:
        if each.psi is None and each.pairs > each.missing:
            yield (
                f"{each.feature} cannot be compared with its reference: it was counted between "
                "other edges, or never had a value in training"
            )


def _coverage_notes(output: str, labelling: Labelling) -> Iterator[str]:
    if labelling.coverage_p is None or labelling.coverage_p >= COVERAGE_P:
        return
    shares = " and ".join(
        f"{percent(count.rate)} of what the {side} served"
        for side, count in labelling.coverage.items()
    )
    yield (
        f"{output}: the answer decides what gets labelled: labels for {shares} (p "
        f"{p_value(labelling.coverage_p)}), so recall may favour a side"
    )


def _listed(words: Sequence[str]) -> str:
    more = len(words) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more:,} more" if more > 0 else "")
