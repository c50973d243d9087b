"""The counts of one run of a fault: answers and pairs."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from comparison.pairs.accounting import Accounting
from comparison.pairs.reader import Pairs
from load_tests.fault import Excuse
from load_tests.steady_load import Reply
from load_tests.verdict import WORK, candidate_score, primary_score

_LAST_SECOND: Final = 1.0
"""Seconds of pairs that a worker without a stop record may have lost, e.g. by `kill -9`."""
_AFTER: Final = 1.0
"""Seconds after the end of a fault in which answers may still fail because of it."""
_LATE: Final = 1.0
"""Seconds; answers that take longer are a sign of overload."""
_SLOW: Final = 5 * WORK

_SCORES: Final = {"primary": primary_score, "candidate": candidate_score}
_FAILED: Final = ("error", "timeout", "shed")
_LOGGED: Final = {
    r"cannot be written to": "refused writes",
    r"are written to .* again": "resumed writes",
    r"of memory, limit": "memory limit",
    r"which is ignored": "absurd rejections",
    r"records are not on disk \(.*enospc": "drop enospc",
}
"""Patterns of lines in the service's log, and the sign that each is counted as."""


@dataclass(frozen=True, slots=True)
class Run:
    """The data of one run."""

    replies: Sequence[Reply]
    pairs: Pairs
    began: float
    ended: float
    """Begin and end of the fault, by the wall clock."""
    assigned: Callable[[str], str]
    """Returns the side that the flag assigns to a request id."""
    excuse: Excuse = Excuse.NONE
    counted: Mapping[str, int] | None = None
    """Counters of /metrics at the end: `drop enospc`, `retry timeout`."""
    shipped: frozenset[str] | None = None
    """Request ids of the pairs that the receiver has; None if nothing is shipped."""
    shipped_twice: int = 0
    log: str = ""
    back_after: float | None = None
    """Seconds from the end of the fault to the candidate's first answer."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The figures of one run. An answer is also of the wrong side if its content is not that
    side's, or differs from its pair.
    """

    sent: int
    failed: int
    """Failed answers without an excuse."""
    excused: int
    wrong: int
    expected: int
    """Pairs of answered requests, including those answered with the primary's error."""
    found: int
    lost: int
    uncounted: int
    """Lost pairs without a sign: no drop counter, no gap, no missing stop record."""
    dropped: int
    """The sum of the drop counters."""
    back_after: float | None
    signs: Counter[str]

    @classmethod
    def of(cls, run: Run) -> "Tally":
        """Return the figures of a run."""
        frame = run.pairs.frame.set_index("request_id", drop=False)
        bad = [reply for reply in run.replies if reply.status != 200 and not reply.left]
        excused = [reply for reply in bad if _is_excused(reply, run)]
        accepted = [reply for reply in run.replies if reply.status in (200, 500)]
        on_record = set(frame.index) if run.shipped is None else set(frame.index) & run.shipped
        lost = [reply for reply in accepted if reply.request_id not in on_record]
        dropped = _dropped(run)
        counted = max(dropped, _gaps(run.pairs.accounting)) + _in_last_second(lost, run.pairs)
        counted += (run.counted or {}).get("reject partial_success", 0)
        return cls(
            sent=len(run.replies),
            failed=len(bad) - len(excused),
            excused=len(excused),
            wrong=sum(_is_wrong(reply, run, frame) for reply in run.replies),
            expected=len(accepted),
            found=len(accepted) - len(lost),
            lost=len(lost),
            uncounted=max(0, len(lost) - counted),
            dropped=dropped,
            back_after=run.back_after,
            signs=_signs(run),
        )


def _is_excused(reply: Reply, run: Run) -> bool:
    if not (reply.ended >= run.began and reply.began <= run.ended + _AFTER):
        return False
    if run.excuse is Excuse.PRIMARY:
        return reply.status == 500 and run.assigned(reply.request_id) == "primary"
    return run.excuse is Excuse.WORKER and reply.status == 0


def _is_wrong(reply: Reply, run: Run, frame: pd.DataFrame) -> bool:
    """Say whether an answer contradicts the flag's assignment or its pair."""
    if reply.status != 200:
        return False
    assigned, served = run.assigned(reply.request_id), reply.side
    if served not in _SCORES or not _is_said_by(reply.got, served, reply.sent["amount"]):
        return True
    if assigned == "primary" and served != "primary":
        return True
    if reply.request_id not in frame.index:
        return False  # a lost pair, which is counted elsewhere
    pair = frame.loc[reply.request_id]
    if (pair["active"], pair["served"]) != (assigned, served):
        return True
    fell_back = served != assigned
    return bool(pair["fallback"] != fell_back or (fell_back and pair["candidate_status"] == "ok"))


def _is_said_by(body: Any, side: str, amount: float) -> bool:
    if not isinstance(body, dict) or body.get("by") != side:
        return False
    return math.isclose(body.get("score", math.nan), _SCORES[side](amount), rel_tol=1e-12)


def _dropped(run: Run) -> int:
    """Return the number of dropped pairs, by the stop records, else by /metrics."""
    told = sum(worker.dropped for worker in run.pairs.accounting.workers)
    shown = sum(number for what, number in (run.counted or {}).items() if what.startswith("drop "))
    return max(told, shown)


def _gaps(accounting: Accounting) -> int:
    """Return the number of missing sequence numbers, also before a worker's oldest file."""
    return sum(
        worker.missing + (worker.first - 1 if worker.begin_removed and worker.first else 0)
        for worker in accounting.workers
    )


def _in_last_second(lost: Sequence[Reply], pairs: Pairs) -> int:
    """Return the number of lost pairs around the last pair of a record without a stop record."""
    frame = pairs.frame
    open_records = [each.worker for each in pairs.accounting.workers if not each.stopped]
    last = [
        moment.timestamp()
        for worker in open_records
        if not pd.isna(moment := frame.loc[frame["worker"] == worker, "time"].max())
    ]
    return sum(any(abs(reply.began - moment) <= _LAST_SECOND for moment in last) for reply in lost)


def _signs(run: Run) -> Counter[str]:
    """Return the signs of the fault in the data, and their counts."""
    frame, accounting = run.pairs.frame, run.pairs.accounting
    signs: Counter[str] = Counter(run.counted or {})
    for side in _SCORES:
        for status, number in frame[f"{side}_status"].value_counts().items():
            signs[f"{side} {status}"] += number
        signs[f"{side} failed"] = sum(signs[f"{side} {status}"] for status in _FAILED)
        signs[f"slow {side}"] += int((frame[f"{side}_duration"] > _SLOW).sum())
    for reason, number in frame["reason"].value_counts().items():
        signs[f"flag {reason}"] += number
    signs["other schema"] = int((frame["candidate_error"] == "ApiMismatchError").sum())
    signs["further model"] = frame["candidate_model"].nunique() - 1
    signs["fallback"] = int(frame["fallback"].sum())
    signs["open record"] = sum(not worker.stopped for worker in accounting.workers)
    signs["further worker"] = len(accounting.workers) - 2
    signs["further file"] = accounting.files - len(accounting.workers)
    signs["gap"] = _gaps(accounting)
    signs["double"] = accounting.duplicates
    signs["received twice"] = run.shipped_twice
    signs["hung up"] = sum(reply.left for reply in run.replies)
    signs["late answers"] = sum(reply.ended - reply.began > _LATE for reply in run.replies)
    shed = sum(signs[f"{side} shed"] for side in _SCORES)
    signs["late or shed"] = signs["late answers"] + shed
    for line in run.log.splitlines():
        for pattern, sign in _LOGGED.items():
            signs[sign] += re.search(pattern, line) is not None
    return signs
