"""A summary of a table of preferences for a terminal."""

import pandas as pd
from rich.console import Console

from comparison.evidence.number_format import percent
from comparison.evidence.preferences import preference_evidence
from comparison.judges.journal import Journal
from comparison.judges.preferences import preferences_of
from flags.gate.evidence import PreferenceEvidence, UnitShare
from flags.gate.number_format import plural
from flags.gate.sequences import MeanSequence, WinRateSequence
from flags.printable import printable


def print_preferences(journal: Journal, console: Console) -> None:
    """Print how many pairs were judged, at which cost, and which side the judge prefers."""
    found = preferences_of(journal)
    cost = sum(each.cost for each in journal.rows)
    console.print(
        f"{journal.path}: {plural(len(found.frame), 'pair')} judged in both orders"
        + (f", {found.unjudged:,} of them not wholly" if found.unjudged else "")
        + (f", {found.incomplete:,} more in one" if found.incomplete else "")
        + (f"; cost {cost:.4g}" if cost else ""),
        markup=False,
        soft_wrap=True,
    )
    same_model = {(each.request_id, each.output) for each in journal.rows if each.same_model}
    keys = zip(found.frame["request_id"], found.frame["output"], strict=True)
    is_noise = pd.Series([key in same_model for key in keys], index=found.frame.index, dtype=bool)
    units = pd.Series(pd.NA, index=found.frame.index, dtype="string")
    for output, part in found.frame.assign(unit=units).groupby("output", dropna=False):
        noise = is_noise[part.index]
        evidence = preference_evidence(str(output), part.loc[~noise], part.loc[noise])
        for line in _lines(evidence):
            console.print(f"{printable(str(output))}: {line}", markup=False, soft_wrap=True)


def _lines(evidence: PreferenceEvidence) -> list[str]:
    win_rate = WinRateSequence(evidence.units)
    lines = []
    if win_rate.value is not None:
        low, high = win_rate.interval(0.05)
        lines.append(
            f"the candidate's text is preferred in {percent(win_rate.value)} of "
            f"{plural(evidence.pairs, 'pair')} that differ (95 % CI {percent(low)} to "
            f"{percent(high)})"
        )
    if evidence.position:
        lines.append(f"what is shown first is preferred in {_share(evidence.position)}")
    if evidence.consistent.rate is not None:
        lines.append(f"the same answer wins in both orders in {percent(evidence.consistent.rate)}")
    if evidence.same_model:
        decided = sum(each.units for each in evidence.same_model if each.value != 0.5)
        total = sum(each.units for each in evidence.same_model)
        lines.append(
            f"of {plural(total, 'pair')} of the same model twice, the candidate's side wins "
            f"{_share(evidence.same_model)}; {total - decided:,} are a tie"
        )
    return lines


def _share(shares: tuple[UnitShare, ...]) -> str:
    sequence = MeanSequence(shares)
    low, high = sequence.interval(0.05)
    return f"{percent(sequence.value)} (95 % CI {percent(low)} to {percent(high)})"
