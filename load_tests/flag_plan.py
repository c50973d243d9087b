"""Change the real flag during a load test by a plan, and compute the right side of a request."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from yggdrasil_engine.engine import UnleashEngine

from flags.unleash.admin import UnleashAdmin
from flags.unleash.flags_file import flags_document, write_flags_file

OFF: Final = "off"


class PlanError(ValueError):
    """The plan is invalid; the message shows a valid one."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of the flag to `rollout` percent (None: off), `at` seconds after the start."""

    at: float
    rollout: int | None

    def __str__(self) -> str:
        return OFF if self.rollout is None else f"{self.rollout} %"


def parse(plan: str) -> tuple[Move, ...]:
    """Parse a plan such as `0:0,30:10,90:50,150:100,170:off`: seconds and the rollout from then."""
    moves = []
    for part in plan.split(","):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?):(off|\d{1,3})\s*", part)
        if not match or (match[2] != OFF and int(match[2]) > 100):
            raise PlanError(
                f"--flag-plan: {part!r} is not a move; one is SECONDS:PERCENT or SECONDS:off, "
                "as in 0:0,30:10,90:50,150:100,170:off"
            )
        moves.append(Move(float(match[1]), None if match[2] == OFF else int(match[2])))
    if [move.at for move in moves] != sorted({move.at for move in moves}):
        raise PlanError("--flag-plan: the moves are not in order of time")
    return tuple(moves)


def mover(flag: str, flags_file: str | None) -> Callable[[Move], None]:
    """Return a function that changes the flag in `flags_file`, or else in Unleash.

    Unleash is set by the variables UNLEASH_URL, UNLEASH_ADMIN_TOKEN and UNLEASH_ENVIRONMENT.
    """
    if flags_file is not None:
        path = Path(flags_file)
        return lambda move: write_flags_file(
            path, flag, move.rollout or 0, enabled=move.rollout is not None
        )
    try:
        url, token = os.environ["UNLEASH_URL"], os.environ["UNLEASH_ADMIN_TOKEN"]
        environment = os.environ["UNLEASH_ENVIRONMENT"]
    except KeyError as missing:
        raise PlanError(f"--flag-plan needs --flags-file, or {missing.args[0]} to be set") from None
    admin = UnleashAdmin(url.removesuffix("/").removesuffix("/api"), token, environment)

    def move_in_unleash(move: Move) -> None:
        if move.rollout is None:
            admin.turn_off(flag)
        else:
            admin.set_rollout(flag, move.rollout)
            admin.turn_on(flag)

    return move_in_unleash


@lru_cache(maxsize=8)
def _engine(flag: str, rollout: int) -> UnleashEngine:
    engine = UnleashEngine()
    engine.take_state(json.dumps(flags_document(flag, rollout)))
    return engine


def side(flag: str, request_id: str, rollout: int | None) -> str:
    """Return the side of `request_id` at `rollout` percent, by Unleash's own engine."""
    if rollout is None:
        return "primary"
    context = {"properties": {"requestId": request_id}}
    return "candidate" if _engine(flag, rollout).is_enabled(flag, context).is_enabled else "primary"
