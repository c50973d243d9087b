"""Changes of a flag that fail if it has changed since the decision."""

from flags.operate.history import Run, read_history
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.errors import FlagChangedError


def raise_rollout(admin: UnleashAdmin, key: str, seen: Run, rollout: int) -> None:
    """Set a higher rollout, unless the flag is no longer in the run `seen`.

    Raises FlagChangedError then. Unleash compares the rollout itself, in the same transaction.
    What else has changed is compared just before; if the flag was switched off in between, the
    slider is put back to where it was.
    """
    _check(admin, key, seen)
    before = seen.setting.rollout
    admin.set_rollout(key, rollout, expected=before)
    if before is not None and not admin.state(key).enabled:
        admin.set_rollout(key, before)
        raise FlagChangedError(
            f"{key} was switched off just now: its slider was put back to {before} %"
        )


def switch_off(admin: UnleashAdmin, key: str, seen: Run) -> None:
    """Switch the flag off, unless it is no longer in the run `seen`: then FlagChangedError."""
    _check(admin, key, seen)
    admin.turn_off(key)


def _check(admin: UnleashAdmin, key: str, seen: Run) -> None:
    now = read_history(admin, key)[1].current
    if now != seen:
        raise FlagChangedError(
            f"{key} is no longer as it was judged: {now.how} by {now.by or 'somebody'}"
        )
