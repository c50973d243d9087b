"""The section on an output that is a number without a threshold."""

from comparison.evidence.number_format import number, percent, signed
from comparison.pairs.sides import SIDES
from comparison.report.html.charts.errors import ErrorRow, errors_by_part
from comparison.report.kinds.parts import (
    PartColumn,
    labelled_mean,
    mean,
    part_table,
    shown_parts,
)
from comparison.report.kinds.section import Section, SectionTable, labelled_note
from flags.gate.checks.number import NumberErrors, NumberEvidence
from flags.gate.evidence import AnswerPart


def section(evidence: NumberEvidence) -> Section:
    """Return the section: the differences of both sides, and with labels their errors."""
    tables = [_agreement(evidence)]
    notes = []
    if evidence.primary is not None and evidence.candidate is not None:
        tables.append(_errors(evidence.primary, evidence.candidate))
        covered = (f"{side} {percent(each.rate)}" for side, each in evidence.coverage.items())
        notes.append(labelled_note(evidence, covered))
    else:
        notes.append(
            "no labels that count: only how far apart the sides are is known, not what is right"
        )
    tables += part_table(evidence, _part_columns(evidence))
    chart = errors_by_part("errors", [_error_row(each) for each in shown_parts(evidence)])
    return Section(
        f"Number: {evidence.name}", tuple(tables), tuple(notes), () if chart is None else (chart,)
    )


def _part_columns(evidence: NumberEvidence) -> list[PartColumn]:
    columns = [PartColumn("mean difference", lambda part: signed(mean(part, "difference")))]
    if not any(each.sums.get("labelled") for each in evidence.parts):
        return columns
    loss = "pinball loss" if evidence.quantile is not None else "MAE"
    return [
        *columns,
        PartColumn("labels", lambda part: f"{part.sums.get('labelled', 0):,.0f}"),
        labelled_mean(f"{loss} p.", "primary_loss"),
        labelled_mean(f"{loss} c.", "candidate_loss"),
    ]


def _error_row(part: AnswerPart) -> ErrorRow:
    errors = (mean(part, f"{side}_loss", "labelled") for side in SIDES)
    return ErrorRow(part.name, *errors)


def _agreement(evidence: NumberEvidence) -> SectionTable:
    def spreads(value: float | None) -> str:
        return "-" if value is None or not evidence.spread else f"{value / evidence.spread:.3f}"

    rows = (
        ("mean difference", signed(evidence.bias), spreads(evidence.bias)),
        (
            "mean absolute difference",
            number(evidence.mean_absolute_difference),
            spreads(evidence.mean_absolute_difference),
        ),
        (
            "root mean squared difference",
            number(evidence.root_mean_squared_difference),
            spreads(evidence.root_mean_squared_difference),
        ),
        ("correlation", number(evidence.correlation), ""),
        ("spread of the primary's", number(evidence.spread), ""),
    )
    caption = "Candidate less primary, on the same requests"
    return SectionTable(caption, ("", "figure", "in spreads"), rows)


def _errors(primary: NumberErrors, candidate: NumberErrors) -> SectionTable:
    rows = [
        ("mean absolute error", primary.mean_absolute_error, candidate.mean_absolute_error),
        (
            "root mean squared error",
            primary.root_mean_squared_error,
            candidate.root_mean_squared_error,
        ),
        ("mean error", primary.bias, candidate.bias),
        ("R²", primary.r2, candidate.r2),
    ]
    if primary.pinball is not None:
        rows.append(("pinball loss", primary.pinball, candidate.pinball))
    cells = tuple((name, number(one), number(other)) for name, one, other in rows)
    return SectionTable("Against the true values", ("", "primary", "candidate"), cells)
