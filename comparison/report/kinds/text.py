"""The section on an output that is a text."""

from functools import partial
from typing import Final

from comparison.evidence.number_format import number, percent, points
from comparison.report.kinds.parts import PartColumn, mean, part_table
from comparison.report.kinds.section import Section, SectionTable
from flags.gate.checks.text import LENGTH, RULE, TextEvidence
from flags.gate.evidence import AnswerPart, Paired
from flags.pairing.kinds.text import EMPTY, REFUSAL


def section(evidence: TextEvidence) -> Section:
    """Return the section: equal texts, lengths, and the results of the declared rules."""
    tables = [_agreement(evidence)]
    if evidence.rules:
        tables.append(_rules(evidence))
    tables += part_table(evidence, _part_columns(evidence))
    declared = set(evidence.rules) - {EMPTY}
    notes = () if declared else ("no rule was declared: refusals and formats are not known",)
    return Section(f"Text: {evidence.name}", tuple(tables), notes)


def _part_columns(evidence: TextEvidence) -> list[PartColumn]:
    columns = [PartColumn("longer by", lambda part: _relative(mean(part, LENGTH)))]
    for rule in evidence.rules:
        name = RULE + rule
        difference = partial(_points, name=name)
        columns.append(PartColumn(f"{_NAMES.get(rule, f'no {rule}')}, more", difference))
    return columns


def _relative(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f} %"


def _points(part: AnswerPart, name: str) -> str:
    return points(mean(part, name))


def _agreement(evidence: TextEvidence) -> SectionTable:
    lengths = {side: number(each) for side, each in evidence.characters.items()}
    rows = (
        ("the same text", percent(evidence.exact_match.rate), f"{evidence.exact_match.count:,}"),
        (
            "the same but for case and spaces",
            percent(evidence.normalised_match.rate),
            f"{evidence.normalised_match.count:,}",
        ),
        ("characters, primary", lengths.get("primary", "-"), ""),
        ("characters, candidate", lengths.get("candidate", "-"), ""),
    )
    return SectionTable(f"{evidence.paired:,} pairs of texts", ("", "figure", "pairs"), rows)


def _rules(evidence: TextEvidence) -> SectionTable:
    rows = tuple(_rule(name, table) for name, table in evidence.rules.items())
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
