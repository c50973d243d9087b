"""Changes of a flag that fail if it has changed since the decision."""

from flags.operate.history import Run, read_history
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.errors import FlagChangedError


def raise_rollout(admin: UnleashAdmin, key: str, seen: Run, rollout: int) -> None:
    """Set a higher rollout. Raises FlagChangedError if the flag is no longer in the run `seen`.

    Unleash checks the old rollout in the same transaction. Other changes are checked just before;
    if the flag is switched off in between, the old rollout is restored.
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
    """Switch the flag off. Raises FlagChangedError if it is no longer in the run `seen`."""
    _check(admin, key, seen)
    admin.turn_off(key)


def _check(admin: UnleashAdmin, key: str, seen: Run) -> None:
    now = read_history(admin, key)[1].current
    if now != seen:
        raise FlagChangedError(
            f"{key} is no longer as it was judged: {now.how} by {now.by or 'somebody'}"
        )
