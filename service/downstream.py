"""The outcomes of answers: a reviewer looks at the payment, or a fraud is missed."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from flags.playbook.outcomes import OutcomePlan
from service.replay import Reply

PLANS: Final = {name: OutcomePlan(cut_off=timedelta(0)) for name in ("review", "missed_fraud")}
"""Plans without delay: in the demo, outcomes are known at once."""


def outcomes_of(decision: Mapping[str, Any], *, fraud: bool) -> Iterator[str]:
    """Yield the names of an answer's outcomes."""
    if decision["alarm"]:
        yield "review"
    elif fraud:
        yield "missed_fraud"


def write_outcomes(path: Path, replies: Iterable[Reply], fraud: Mapping[str, bool]) -> None:
    """Write the outcomes of the replies as CSV; `fraud` has the ground truth by request id."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["request_id", "metric", "value"])
        for reply in replies:
            if reply.status == 200:
                named = outcomes_of(reply.body, fraud=fraud[reply.request_id])
                rows.writerows([reply.request_id, metric, 1] for metric in named)
