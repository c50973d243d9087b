"""The section on a text."""

from comparison.evidence.number_format import number, percent
from comparison.report.kinds.section import Section, SectionTable
from flags.gate.checks.text import TextEvidence
from flags.gate.evidence import Paired
from flags.pairing.kinds.text import REFUSAL


def section(found: TextEvidence) -> Section:
    """Return how far the texts are the same, how long they are, and what the rules say."""
    tables = [_agreement(found)]
    if found.rules:
        tables.append(_rules(found))
    notes = () if found.rules else ("no rule was declared: refusals and formats are not known",)
    return Section(f"Text: {found.name}", tuple(tables), notes)


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
    return SectionTable("Refusals, and formats that a text lacks", headings, rows)


def _rule(name: str, table: Paired) -> tuple[str, ...]:
    pairs = table.pairs or 1
    return (
        "refusals" if name == REFUSAL else f"no {name}",
        percent((table.both + table.primary_only) / pairs),
        percent((table.both + table.candidate_only) / pairs),
        f"{table.candidate_only:,} of {table.pairs:,}",
    )
