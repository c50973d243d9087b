"""The section on an output that is a text."""

from functools import partial
from typing import Final

from comparison.evidence.number_format import number, percent, points
from comparison.report.kinds.parts import PartColumn, mean, part_table
from comparison.report.kinds.section import Section, SectionTable
from flags.gate.checks.text import LENGTH, RULE, TextEvidence
from flags.gate.evidence import AnswerPart, Paired
from flags.pairing.kinds.text import EMPTY, REFUSAL


def section(found: TextEvidence) -> Section:
    """Return the section: equal texts, lengths, and the results of the declared rules."""
    tables = [_agreement(found)]
    if found.rules:
        tables.append(_rules(found))
    tables += part_table(found, _part_columns(found))
    declared = set(found.rules) - {EMPTY}
    notes = () if declared else ("no rule was declared: refusals and formats are not known",)
    return Section(f"Text: {found.name}", tuple(tables), notes)


def _part_columns(found: TextEvidence) -> list[PartColumn]:
    columns = [PartColumn("longer by", lambda part: _relative(mean(part, LENGTH)))]
    for rule in found.rules:
        name = RULE + rule
        said = partial(_points, name=name)
        columns.append(PartColumn(f"{_NAMES.get(rule, f'no {rule}')}, more", said))
    return columns


def _relative(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f} %"


def _points(part: AnswerPart, name: str) -> str:
    return points(mean(part, name))


def _agreement(found: TextEvidence) -> SectionTable:
    lengths = {side: number(each) for side, each in found.characters.items()}
    rows = (
        ("the same text", percent(found.exact.rate), f"{found.exact.count:,}"),
        ("the same but for case and spaces", percent(found.normal.rate), f"{found.normal.count:,}"),
        ("characters, primary", lengths.get("primary", "-"), ""),
        ("characters, candidate", lengths.get("candidate", "-"), ""),
    )
    return SectionTable(f"{found.paired:,} pairs of texts", ("", "figure", "pairs"), rows)


def _rules(found: TextEvidence) -> SectionTable:
    rows = tuple(_rule(name, table) for name, table in found.rules.items())
    headings = ("", "primary", "candidate", "only the candidate")
    return SectionTable("Empty texts, refusals, and formats that a text lacks", headings, rows)


_NAMES: Final = {REFUSAL: "refusals", EMPTY: "nothing but spaces"}


def _rule(name: str, table: Paired) -> tuple[str, ...]:
    pairs = table.pairs or 1
    return (
        _NAMES.get(name, f"no {name}"),
        percent((table.both + table.primary_only) / pairs),
        percent((table.both + table.candidate_only) / pairs),
        f"{table.candidate_only:,} of {table.pairs:,}",
    )
