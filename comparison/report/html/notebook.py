"""A comparison as a notebook shows it: the verdict, its reasons and its checks, without a style."""

from typing import TYPE_CHECKING

import pandas as pd

from comparison.judgement.judgement import Judgement
from comparison.report.check_format import gravest_first, write_check
from comparison.report.html.environment import environment
from flags.gate.evidence import Evidence
from flags.printable import printable

if TYPE_CHECKING:
    from comparison.comparison import Comparison


def summary_html(found: "Comparison") -> str:
    """Return a piece of HTML that takes its style from whatever shows it."""
    judgement = found.judgement
    table = _checks(found.evidence, judgement) if judgement else found.alarms
    template = environment().get_template("notebook.html.j2")
    rows = table.to_html(index=False, na_rep="", border=0)
    return template.render(window=found.evidence.window, judgement=judgement) + rows


def _checks(evidence: Evidence, judgement: Judgement) -> pd.DataFrame:
    """Write the checks as the page does, the gravest first."""
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
