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
"""Takes prompt, first and second answer; returns a Judgment, or only its preference."""

WORDS: Final[Mapping[str, float]] = MappingProxyType({"first": 1.0, "second": 0.0, "tie": 0.5})
"""Words that a judge may return instead of a number."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """The preference of a judge, and its cost."""

    preference: float
    """1: the first answer is better; 0: the second is better; 0.5: a tie."""
    cost: float = 0.0
    """In the currency in which the judge is paid."""


def ask_judge(judge: Judge, prompt: str, first: str, second: str) -> Judgment:
    """Ask a judge. Raises the judge's own errors, and ValueError for an invalid preference."""
    returned = judge(prompt, first, second)
    if inspect.isawaitable(returned):
        returned = asyncio.run(_awaited(returned))
    judgment = returned if isinstance(returned, Judgment) else Judgment(_number(returned))
    if not (math.isfinite(judgment.preference) and 0 <= judgment.preference <= 1):
        raise ValueError(f"a preference lies within 0 to 1, not at {judgment.preference!r}")
    if not (math.isfinite(judgment.cost) and judgment.cost >= 0):
        raise ValueError(f"a cost is a number of 0 or more, not {judgment.cost!r}")
    return judgment


async def _awaited(returned: Awaitable[Any]) -> Any:
    return await returned


def _number(returned: Any) -> float:
    if isinstance(returned, str) and returned.strip().lower() in WORDS:
        return WORDS[returned.strip().lower()]
    if isinstance(returned, bool) or not hasattr(returned, "__float__"):
        words = ", ".join(WORDS)
        raise ValueError(f"a judge returns a number from 0 to 1, or {words}, not {returned!r:.50}")
    return float(returned)


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
