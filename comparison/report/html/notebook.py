"""A comparison as HTML for a notebook: the verdict, its reasons and its checks."""

from collections.abc import Iterator

import pandas as pd

from comparison.judgement.judgement import Judgement
from comparison.report.check_format import gravest_first, write_check
from comparison.report.frames import alarms_frame
from comparison.report.html.environment import environment
from comparison.report.kinds.sections import sections
from flags.gate.evidence import Evidence
from flags.gate.number_format import plural
from flags.printable import printable


def summary_html(evidence: Evidence, judgement: Judgement | None) -> str:
    """Return an HTML fragment without styles: the notebook styles it."""
    tables = [("", _checks(evidence, judgement))] if judgement else list(_figures(evidence))
    template = environment().get_template("notebook.html.j2")
    return template.render(
        window=evidence.window,
        pairs=plural(evidence.window.pairs, "pair"),
        judgement=judgement,
        notes=evidence.notes,
        tables=[(name, _html(table)) for name, table in tables],
    )


def _html(table: pd.DataFrame) -> str:
    shown = table.astype(object).mask(table.isna(), "")
    return shown.to_html(index=False, border=0)


def _figures(evidence: Evidence) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the table of alarms, and the tables of outputs that are not scores."""
    alarms = alarms_frame(evidence)
    if not alarms.empty:
        yield "", alarms
    for section in sections(evidence):
        for table in section.tables:
            rows = [[printable(cell) for cell in row] for row in table.rows]
            yield f"{section.title}. {table.caption}", pd.DataFrame(rows, columns=table.headings)


def _checks(evidence: Evidence, judgement: Judgement) -> pd.DataFrame:
    """Return the table of checks as on the page, the gravest first."""
    rows = []
    for check in gravest_first(judgement.verdict.checks):
        written = write_check(check, judgement, evidence)
        about = f"{written.title} {written.about}".strip()
        limits = (written.advance, written.rollback)
        outcome = written.outcome + written.pass_note
        cells = (outcome, about, written.figure, written.interval, *limits, written.n)
        rows.append([printable(cell) for cell in cells])
    names = ["outcome", "check", "figure", "interval", "advance within", "roll back beyond", "n"]
    return pd.DataFrame(rows, columns=pd.Index(names))
