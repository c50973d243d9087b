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


def section(found: CategoryEvidence) -> Section:
    """Return the section: the classes that changed most, and with labels the accuracy."""
    tables = []
    if found.primary is not None and found.candidate is not None:
        tables.append(_quality(found.primary, found.candidate))
    tables.append(_classes(found))
    columns = [PartColumn("same class", lambda part: percent(mean(part, "agrees")))]
    if found.labelled or found.young.count:
        columns += [
            labelled_share("accuracy p.", "primary_right"),
            labelled_share("accuracy c.", "candidate_right"),
        ]
    tables += part_table(found, columns)
    return Section(f"Class: {found.name}", tuple(tables), tuple(_notes(found)))


def _quality(primary: CategoryQuality, candidate: CategoryQuality) -> SectionTable:
    rows = [
        ("accuracy", percent(primary.accuracy.rate), percent(candidate.accuracy.rate)),
        ("macro F1", number(primary.macro_f1), number(candidate.macro_f1)),
        ("macro recall", number(primary.macro_recall), number(candidate.macro_recall)),
    ]
    if primary.top is not None and candidate.top is not None:
        rows.append(("among the likeliest", share_of(primary.top), share_of(candidate.top)))
    return SectionTable("Against the labels", ("", "primary", "candidate"), tuple(rows))


def _classes(found: CategoryEvidence) -> SectionTable:
    largest = sorted(found.classes, key=_change, reverse=True)[:ROWS]
    rows = tuple(_class_row(each, found) for each in largest)
    more = len(found.classes) - len(largest)
    caption = "Classes, the largest changes first" + (f", {more} more not shown" if more else "")
    recalls = ("recall p.", "recall c.") if found.labelled else ()
    headings = ("class", "primary", "candidate", "ratio", *recalls, "becomes, most often")
    return SectionTable(caption, headings, rows)


def _change(each: ClassEvidence) -> int:
    return each.said.primary_only + each.said.candidate_only


def _class_row(each: ClassEvidence, found: CategoryEvidence) -> tuple[str, ...]:
    times = RatioSequence(each.said).value
    caught = (each.caught.primary.rate, each.caught.candidate.rate)
    return (
        each.name,
        percent(each.said.primary.rate),
        percent(each.said.candidate.rate),
        "-" if times is None else f"{ratio(times)}x",
        *(percent(rate) for rate in caught if found.labelled),
        _becomes(each.name, found),
    )


def _becomes(name: str, found: CategoryEvidence) -> str:
    """Return the candidate's most frequent other class where the primary's is `name`."""
    change = next((each for each in found.changes if each.primary == name), None)
    return "-" if change is None else f"{plural(change.pairs, 'pair')}: {change.candidate}"


def _notes(found: CategoryEvidence) -> list[str]:
    notes = [
        f"both sides say the same in {percent(found.agreement.rate)} of {found.paired:,} pairs, "
        f"{len(found.classes):,} classes"
    ]
    if found.unread:
        notes.append(f"in {found.unread:,} pairs a class could not be read")
    if found.labelled:
        covered = (f"{side} {percent(each.rate)}" for side, each in found.coverage.items())
        notes.append(labelled_note(found, covered))
    for alike in found.alike:
        names = " and ".join(repr(name) for name in alike)
        notes.append(f"{names} differ in case or spaces only, and are not the same class")
    if found.unsaid.count:
        names = ", ".join(repr(name) for name in found.unsaid_names)
        notes.append(
            f"{found.unsaid.count:,} labels name classes that no side ever says ({names}): both "
            "sides count as wrong there; label values map other names"
        )
    return notes
