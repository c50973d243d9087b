"""Name what can go wrong when pairs are compared.

ComparisonError
    PairsUnreadableError      the path, or a file in it, holds no pair files
    NoPairsError              pair files can be read, but there is nothing to compare in them
    SeveralFlagsError         pairs of more than one flag, and none was asked for
    FlagNotFoundError         the flag asked for has no pairs here
"""

from collections.abc import Sequence
from pathlib import Path


class ComparisonError(Exception):
    """Report that the pairs cannot be compared; the message is meant for the user."""


class PairsUnreadableError(ComparisonError):
    """Name the file (and the line, from 1) that is not a pair file, and what is expected there."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        self.path = path
        self.line = line
        place = f"{path}, line {line}" if line else f"{path}"
        super().__init__(
            f"{place}: {problem}; expected a folder of *.jsonl files, or one such file, "
            "with one OTLP/JSON TracesData object a line"
        )


class NoPairsError(ComparisonError):
    """Say where no pair was found, and what was there instead."""


class SeveralFlagsError(ComparisonError):
    """Name the flags whose pairs share one folder."""

    def __init__(self, source: Path, flags: Sequence[str]) -> None:
        self.flags = tuple(flags)
        super().__init__(
            f"{source} holds pairs of {len(flags)} flags: {', '.join(flags)}; "
            f"choose one with --flag, for example --flag {flags[0]}"
        )


class FlagNotFoundError(ComparisonError):
    """Name the flag that has no pairs, and those that have."""

    def __init__(self, source: Path, flag: str, flags: Sequence[str]) -> None:
        self.flag = flag
        self.flags = tuple(flags)
        super().__init__(f"{source} holds no pairs of flag {flag}, only of: {', '.join(flags)}")
