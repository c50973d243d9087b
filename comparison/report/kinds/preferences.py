"""The section on preferences: which side's texts are better, and how reliable the judge is."""

from comparison.evidence.number_format import percent
from comparison.report.kinds.section import Section, SectionTable
from flags.gate.evidence import PreferenceEvidence, UnitShare
from flags.gate.sequences import ConfidenceSequence, MeanSequence, WinRateSequence

_ALPHA = 0.05
_TIE = 0.5


def preference_section(evidence: PreferenceEvidence) -> Section:
    """Return the section: win rate, position bias and noise of the judge."""
    rows = [_row("the candidate's text preferred", WinRateSequence(evidence.units), evidence.pairs)]
    if evidence.position:
        pairs = sum(each.units for each in evidence.position)
        rows.append(_row("what is shown first preferred", MeanSequence(evidence.position), pairs))
    if evidence.consistent.total:
        share = percent(evidence.consistent.rate)
        rows.append(("the same winner in both orders", share, "", f"{evidence.consistent.total:,}"))
    if evidence.same_model:
        rows += _noise(evidence.same_model)
    headings = ("", "share", "95 % CI", "pairs")
    caption = "Pairs whose texts differ, chosen at random"
    notes = [f"judged by {', '.join(evidence.judges)}"] if evidence.judges else []
    if evidence.failed:
        notes.append(f"the judge failed on {evidence.failed:,}, which count against either side")
    title = f"Preferences: {evidence.output}" if evidence.output else "Preferences"
    return Section(title, (SectionTable(caption, headings, tuple(rows)),), tuple(notes))


def _noise(shares: tuple[UnitShare, ...]) -> list[tuple[str, ...]]:
    pairs = sum(each.units for each in shares)
    decided = sum(each.units for each in shares if each.value != _TIE) / pairs
    return [
        _row("the same model twice: candidate's side", MeanSequence(shares), pairs),
        ("the same model twice: no tie", percent(decided), "", f"{pairs:,}"),
    ]


def _row(name: str, sequence: ConfidenceSequence, pairs: int) -> tuple[str, ...]:
    low, high = sequence.interval(_ALPHA)
    bounds = f"{percent(low).removesuffix(' %')} to {percent(high)}"
    return name, percent(sequence.value), bounds, f"{pairs:,}"
