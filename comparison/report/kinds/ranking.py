"""The section on an output that is a ranking."""

from typing import Final

from comparison.evidence.number_format import number, percent
from comparison.report.kinds.parts import PartColumn, labelled_mean, mean, part_table
from comparison.report.kinds.section import Section, SectionTable, labelled_note
from flags.gate.checks.exposure import Exposure
from flags.gate.checks.ranking import RankingEvidence, RankingQuality

ROWS: Final = 5
"""Items and groups that are shown, the most changed exposure first; the JSON has more of them."""


def section(evidence: RankingEvidence) -> Section:
    """Return the section: agreement of the lists, exposure of items, and with labels relevance."""
    tables = []
    if evidence.primary is not None and evidence.candidate is not None:
        tables.append(_quality(evidence.primary, evidence.candidate, evidence.depth))
    tables += [_agreement(evidence), _exposure(evidence), _items(evidence)]
    columns = [
        PartColumn("in common", lambda part: percent(mean(part, "overlap"))),
        PartColumn("RBO", lambda part: number(mean(part, "rbo"))),
    ]
    if evidence.labelled or evidence.early_labels.count:
        columns += [
            labelled_mean("nDCG p.", "ndcg_of_primary"),
            labelled_mean("nDCG c.", "ndcg_of_candidate"),
        ]
    tables += part_table(evidence, columns)
    return Section(f"Ranking: {evidence.name}", tuple(tables), tuple(_notes(evidence)))


def _quality(primary: RankingQuality, candidate: RankingQuality, depth: int) -> SectionTable:
    sides = (primary, candidate)
    rows = (
        (f"nDCG at {depth}", *(number(each.ndcg) for each in sides)),
        ("mean reciprocal rank", *(number(each.reciprocal_rank) for each in sides)),
        ("a relevant item is listed", *(percent(each.found.rate) for each in sides)),
        ("its place, where it is", *(number(each.mean_place) for each in sides)),
    )
    return SectionTable("Against the labels", ("", "primary", "candidate"), rows)


def _agreement(evidence: RankingEvidence) -> SectionTable:
    rows = (
        ("items in common", percent(evidence.overlap)),
        ("rank-biased overlap", number(evidence.rank_biased_overlap)),
        ("the same item on top", percent(evidence.same_first.rate)),
        ("the same ranking", percent(evidence.same.rate)),
    )
    return SectionTable(f"Lists of both sides, {evidence.depth} places", ("", "figure"), rows)


def _exposure(evidence: RankingEvidence) -> SectionTable:
    places = {
        "primary": evidence.no_longer_shown.total,
        "candidate": evidence.newly_shown.total,
    }
    sides = ("primary", "candidate")
    rows = [
        ("items per list", *(number(evidence.lengths[side]) for side in sides)),
        ("lists without any item", *(percent(evidence.empty[side].rate) for side in sides)),
        ("different items", *(f"{evidence.distinct_items[side]:,}" for side in sides)),
        (
            "items that take half of the places",
            *(_count(evidence.items_for_half[side]) for side in sides),
        ),
        (
            "places of items that it alone lists",
            percent(evidence.no_longer_shown.rate),
            percent(evidence.newly_shown.rate),
        ),
    ]
    for each in evidence.groups[:ROWS]:
        shares = (
            each.primary / max(1, places["primary"]),
            each.candidate / max(1, places["candidate"]),
        )
        rows.append((f"group {each.name}", *(percent(share) for share in shares)))
    return SectionTable("What is shown", ("", *sides), tuple(rows))


def _items(evidence: RankingEvidence) -> SectionTable:
    rows = tuple(_item(each, evidence.paired) for each in evidence.items[:ROWS])
    caption = "Items that changed most, share of the lists"
    return SectionTable(caption, ("", "primary", "candidate"), rows)


def _item(each: Exposure, paired: int) -> tuple[str, ...]:
    shares = (each.primary / max(1, paired), each.candidate / max(1, paired))
    return (each.name, *(percent(share) for share in shares))


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _notes(evidence: RankingEvidence) -> list[str]:
    notes = []
    if evidence.unreadable:
        notes.append(f"in {evidence.unreadable:,} pairs a ranking could not be read")
    if evidence.labelled:
        covered = (f"{side} {percent(each.rate)}" for side, each in evidence.coverage.items())
        notes.append(labelled_note(evidence, covered))
        notes += [
            f"nDCG on what the {each.served} answered ({each.labelled:,} labels): primary "
            f"{number(each.primary)}, candidate {number(each.candidate)}"
            for each in evidence.by_served
        ]
    else:
        notes.append(
            "no labels that count: only how the lists differ is known, not what is relevant"
        )
    return notes
