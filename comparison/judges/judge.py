"""A judge: any callable that prefers one of two answers."""

import asyncio
import inspect
import math
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from comparison.errors import JudgeNotFoundError

Judge = Callable[[str, str, str], Any]
"""Takes prompt, first and second answer; returns a Judgment, or a preference as it has one."""

WORDS: Final[Mapping[str, float]] = MappingProxyType({"first": 1.0, "second": 0.0, "tie": 0.5})
"""What a judge may return in the place of a number."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """Hold what a judge said: how much it prefers the first answer, and what that cost."""

    preference: float
    """1: the first answer is better; 0: the second is; 0.5: neither."""
    cost: float = 0.0
    """In whatever currency the judge is paid."""


def judged(judge: Judge, prompt: str, first: str, second: str) -> Judgment:
    """Ask a judge. Raises what it raises, and ValueError for what is not a preference."""
    said = judge(prompt, first, second)
    if inspect.isawaitable(said):
        said = asyncio.run(_awaited(said))
    judgment = said if isinstance(said, Judgment) else Judgment(_number(said))
    if not (math.isfinite(judgment.preference) and 0 <= judgment.preference <= 1):
        raise ValueError(f"a preference lies within 0 to 1, not at {judgment.preference!r}")
    if not (math.isfinite(judgment.cost) and judgment.cost >= 0):
        raise ValueError(f"a cost is a number of 0 or more, not {judgment.cost!r}")
    return judgment


async def _awaited(said: Awaitable[Any]) -> Any:
    return await said


def _number(said: Any) -> float:
    if isinstance(said, str) and said.strip().lower() in WORDS:
        return WORDS[said.strip().lower()]
    if isinstance(said, bool) or not hasattr(said, "__float__"):
        words = ", ".join(WORDS)
        raise ValueError(f"a judge returns a number from 0 to 1, or {words}, not {said!r:.50}")
    return float(said)


def named_judge(name: str, folder: Path) -> Judge:
    """Import `module:function`, the module also from `folder`. Raises JudgeNotFoundError."""
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise JudgeNotFoundError(f"{name!r} is not of the form module:function")
    if (place := str(folder)) not in sys.path:
        sys.path.insert(0, place)
    try:
        found: Any = import_module(module)
        for part in function.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise JudgeNotFoundError(f"there is no module {module} here or installed") from error
    except AttributeError as error:
        raise JudgeNotFoundError(f"{module} has no {function}") from error
    if not callable(found):
        raise JudgeNotFoundError(f"{name} is not callable: a judge takes (prompt, first, second)")
    judge: Judge = found
    return judge
