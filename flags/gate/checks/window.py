"""Checks of the window: that it belongs to the step, and is long, large and recent enough."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Final

from flags.gate.evidence import Evidence
from flags.gate.number_format import plural
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.durations import duration_text
from flags.playbook.model import Playbook, Step

_CUT: Final = "before, a side had another model or threshold, or had not answered yet"


def window_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield the checks of a step's window."""
    limits = playbook.gate_of(step).advance
    yield _subject(evidence, playbook, step)
    yield _hold_time(evidence, step, limits)
    yield _pairs(evidence.window.comparable_pairs, step.min_pairs)
    yield _silence(evidence, step, limits)


def _subject(evidence: Evidence, playbook: Playbook, step: Step) -> Check:
    window = evidence.window
    reason = f"the pairs are of {window.flag} at {window.rollout:g} %"
    fits = window.flag == playbook.flag and window.rollout == step.rollout
    if not fits:
        reason += f", the playbook's step is {playbook.flag} at {step.rollout} %"
    outcome = Outcome.PASS if fits else Outcome.FAIL
    return plain(
        "rollout", outcome, window.pairs, reason, figure=window.rollout, limit=step.rollout
    )


def _hold_time(evidence: Evidence, step: Step, limits: AdvanceLimits) -> Check:
    """Check the time with traffic; gaps that are longer than allowed are not counted."""
    window, wanted = evidence.window, step.hold.total_seconds()
    longest = limits.gap.total_seconds()
    if wanted:
        longest = min(longest, limits.silence * wanted)
    held = window.held(longest)
    without = window.age - held
    return plain(
        "hold_time",
        Outcome.PASS if held >= wanted else Outcome.INCONCLUSIVE,
        window.pairs,
        f"held for {_time(held)} of {duration_text(step.hold)}"
        + (f", not counting {_time(without)} without pairs" if without else "")
        + (
            f", since {window.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC: {_CUT}"
            if window.step_began_earlier
            else ""
        ),
        figure=held,
        limit=wanted,
    )


def _pairs(count: int, wanted: int) -> Check:
    short = max(0, wanted - count)
    return plain(
        "pairs",
        Outcome.INCONCLUSIVE if short else Outcome.PASS,
        count,
        f"{plural(count, 'pair')} of {wanted:,}" + (f": {short:,} more needed" if short else ""),
        figure=count,
        limit=wanted,
        needed=short or None,
    )


def _silence(evidence: Evidence, step: Step, limits: AdvanceLimits) -> Check:
    """Check that pairs have not stopped: else nothing shows the candidate's present state."""
    window = evidence.window
    limit = limits.silence * step.hold.total_seconds()
    if window.last is None:
        return plain("silence", Outcome.INCONCLUSIVE, 0, "no pairs", limit=limit)
    silent = (window.until - window.last).total_seconds()
    return plain(
        "silence",
        Outcome.PASS if silent <= limit or not step.hold else Outcome.INCONCLUSIVE,
        window.pairs,
        f"no pairs for {_time(silent)}, limit {_time(limit)}",
        figure=silent,
        limit=limit,
    )


def _time(seconds: float) -> str:
    """Format a time in its two largest units: `3d 4h`, `52s`."""
    left, parts = timedelta(seconds=max(0, round(seconds))), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, timedelta(seconds=size))
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"
