"""The section on an output that is a class."""

from typing import Final

from comparison.evidence.number_format import number, percent, ratio, share_of
from comparison.report.kinds.parts import PartColumn, labelled_share, mean, part_table
from comparison.report.kinds.section import Section, SectionTable, labelled_note
from flags.gate.checks.category import CategoryEvidence, CategoryQuality
from flags.gate.checks.classes import ClassEvidence
from flags.gate.number_format import plural
from flags.gate.sequences import RatioSequence

ROWS: Final = 10
"""Classes that are shown, the most changed first; the JSON has all of them."""


def section(evidence: CategoryEvidence) -> Section:
    """Return the section: the classes that changed most, and with labels the accuracy."""
    tables = []
    if evidence.primary is not None and evidence.candidate is not None:
        tables.append(_quality(evidence.primary, evidence.candidate))
    tables.append(_classes(evidence))
    columns = [PartColumn("same class", lambda part: percent(mean(part, "agrees")))]
    if evidence.labelled or evidence.early_labels.count:
        columns += [
            labelled_share("accuracy p.", "primary_right"),
            labelled_share("accuracy c.", "candidate_right"),
        ]
    tables += part_table(evidence, columns)
    return Section(f"Class: {evidence.name}", tuple(tables), tuple(_notes(evidence)))


def _quality(primary: CategoryQuality, candidate: CategoryQuality) -> SectionTable:
    rows = [
        ("accuracy", percent(primary.accuracy.rate), percent(candidate.accuracy.rate)),
        ("macro F1", number(primary.macro_f1), number(candidate.macro_f1)),
        ("macro recall", number(primary.macro_recall), number(candidate.macro_recall)),
    ]
    tops = (primary.top_k_accuracy, candidate.top_k_accuracy)
    if tops[0] is not None and tops[1] is not None:
        rows.append(("among the likeliest", share_of(tops[0]), share_of(tops[1])))
    return SectionTable("Against the labels", ("", "primary", "candidate"), tuple(rows))


def _classes(evidence: CategoryEvidence) -> SectionTable:
    largest = sorted(evidence.classes, key=_change, reverse=True)[:ROWS]
    rows = tuple(_class_row(each, evidence) for each in largest)
    more = len(evidence.classes) - len(largest)
    caption = "Classes, the largest changes first" + (f", {more} more not shown" if more else "")
    recalls = ("recall p.", "recall c.") if evidence.labelled else ()
    headings = ("class", "primary", "candidate", "ratio", *recalls, "becomes, most often")
    return SectionTable(caption, headings, rows)


def _change(each: ClassEvidence) -> int:
    return each.predicted.primary_only + each.predicted.candidate_only


def _class_row(each: ClassEvidence, evidence: CategoryEvidence) -> tuple[str, ...]:
    times = RatioSequence(each.predicted).value
    caught = (each.caught.primary.rate, each.caught.candidate.rate)
    return (
        each.name,
        percent(each.predicted.primary.rate),
        percent(each.predicted.candidate.rate),
        "-" if times is None else f"{ratio(times)}x",
        *(percent(rate) for rate in caught if evidence.labelled),
        _becomes(each.name, evidence),
    )


def _becomes(name: str, evidence: CategoryEvidence) -> str:
    """Return the candidate's most frequent other class where the primary's is `name`."""
    change = next((each for each in evidence.changes if each.primary == name), None)
    return "-" if change is None else f"{plural(change.pairs, 'pair')}: {change.candidate}"


def _notes(evidence: CategoryEvidence) -> list[str]:
    notes = [
        f"both sides predict the same in {percent(evidence.agreement.rate)} of {evidence.paired:,} "
        f"pairs, {len(evidence.classes):,} classes"
    ]
    if evidence.unreadable:
        notes.append(f"in {evidence.unreadable:,} pairs a class could not be read")
    if evidence.labelled:
        covered = (f"{side} {percent(each.rate)}" for side, each in evidence.coverage.items())
        notes.append(labelled_note(evidence, covered))
    for group in evidence.similar_names:
        names = " and ".join(repr(name) for name in group)
        notes.append(f"{names} differ in case or spaces only, and are not the same class")
    if evidence.never_predicted.count:
        names = ", ".join(repr(name) for name in evidence.never_predicted_names)
        notes.append(
            f"{evidence.never_predicted.count:,} labels name classes that no side ever predicts "
            f"({names}): both sides count as wrong there; label values map other names"
        )
    return notes
