"""A check of an exact figure, which is not estimated, so it has no interval."""

from flags.gate.verdict import Check, Outcome


def plain(
    name: str,
    outcome: Outcome,
    n: int,
    reason: str,
    *,
    figure: float | None = None,
    limit: float | None = None,
    output: str | None = None,
    needed: int | None = None,
) -> Check:
    """Return a check of an exact figure, which has no interval."""
    return Check(
        name, output, None, outcome, figure, None, None, limit, n, reason, more_needed=needed
    )
