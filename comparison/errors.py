"""The errors of `comparison`, as a tree.

ComparisonError
    PairsUnreadableError      the path, or a file in it, holds no pair files
    PlaceUnreadableError      the table at the URL cannot be read, or does not hold pairs
    StoreUnreadableError      the folder in the object store cannot be read
    NoPairsError              pair files can be read, but there is nothing to compare in them
    SeveralFlagsError         there are pairs of several flags, and no flag was chosen
    FlagNotFoundError         the chosen flag has no pairs here
    CompactionError           pairs cannot be compacted into the folder
        CompactionUnreadableError the files of earlier runs cannot be read
    MemoryLackingError        counting needs more memory than this process may use
    InputUnreadableError      an input besides the pairs is not as expected
        LabelsUnreadableError
            LabelWordError    a label is a word instead of true or false
        OutcomesUnreadableError
        PreferencesUnreadableError
    LabelsUnfitError          the labels of an output are not among its classes
    RelevanceUnfitError       the labels of a ranking are not lists of relevant items
    TextsMissingError         no pair has the texts for a judge
    JudgeNotFoundError        the name does not lead to a judge
    JudgeFailingError         the judge failed on many questions in a row
    ReferenceUnreadableError  the file is not the description of a model with a reference
    RolloutNotFoundError      no pair was made at the chosen rollout
    StepNotFoundError         the playbook has no such step
    WindowEmptyError          the window ends before it begins
    TimeUnreadableError       a text is not a time
    ExportFailedError         another program did not accept a comparison
    NotJudgedError            there is no verdict, since no playbook was given
    ChartMissingError         there is nothing to draw, or an output must be named
    NothingToJudgeError       the flag is at no step of the playbook
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class ComparisonError(Exception):
    """Report that the pairs cannot be compared; the message is meant for the user."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Make errors picklable whose classes take other arguments than the message."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class PairsUnreadableError(ComparisonError):
    """Name the file (and the line, from 1) that is not a pair file, and the expected content."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        self.path = path
        self.line = line
        place = f"{path}, line {line}" if line else f"{path}"
        super().__init__(
            f"{place}: {problem}; expected a folder of *.jsonl files (.jsonl.gz, .jsonl.zst), or "
            "one such file, with one OTLP/JSON TracesData object a line"
        )


class PlaceUnreadableError(ComparisonError):
    """Name the URL, without its password, whose table cannot be read or does not hold pairs."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        super().__init__(f"{place}: {problem}")


class StoreUnreadableError(ComparisonError):
    """Name the folder of an object store that cannot be reached, and why."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        super().__init__(f"{place}: {problem}")


class ExportFailedError(ComparisonError):
    """Say why another program did not accept a comparison, and what it needs."""


class NotJudgedError(ComparisonError):
    """Say that a verdict needs a playbook."""

    def __init__(self) -> None:
        super().__init__("there is no verdict, since no playbook was given: compare(..., playbook)")


class ChartMissingError(ComparisonError):
    """Say that there is nothing to draw, or which outputs can be named."""


class NoPairsError(ComparisonError):
    """Name the place without pairs, and what it holds instead."""


class SeveralFlagsError(ComparisonError):
    """Name the flags whose pairs share one folder."""

    def __init__(self, source: Path | str, flags: Sequence[str]) -> None:
        self.flags = tuple(flags)
        super().__init__(
            f"{source} holds pairs of {len(flags)} flags: {', '.join(flags)}; choose one of them"
        )


class FlagNotFoundError(ComparisonError):
    """Name the flag without pairs, and the flags with pairs."""

    def __init__(self, source: Path | str, flag: str, flags: Sequence[str]) -> None:
        self.flag = flag
        self.flags = tuple(flags)
        super().__init__(f"{source} holds no pairs of flag {flag}, only of: {', '.join(flags)}")


class ReferenceUnreadableError(ComparisonError):
    """Name the file without a feature reference, and say how to create one."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(
            f"{path}: {problem}; expected a model with a feature_reference in its metadata, as "
            f"`bentoml models get TAG --output json > {path.name}` prints it"
        )


class RolloutNotFoundError(ComparisonError):
    """Name the rollout without pairs (None: any), and the rollouts of the pairs."""

    def __init__(self, source: str, rollout: float | None, known: Sequence[float]) -> None:
        self.rollout = rollout
        self.known = tuple(known)
        asked = "a known rollout" if rollout is None else f"{rollout:g} %"
        there = ", ".join(f"{each:g} %" for each in known) or "none of them says at which"
        super().__init__(f"{source} holds no pairs made at {asked}; there are: {there}")


class StepNotFoundError(ComparisonError):
    """Name the step that is not in the playbook, and the steps that are."""

    def __init__(self, wanted: str, steps: Sequence[str]) -> None:
        self.steps = tuple(steps)
        super().__init__(f"the playbook has no step {wanted}; its steps are: {'; '.join(steps)}")


class WindowEmptyError(ComparisonError):
    """Say that the window ends before it begins."""


class CompactionError(ComparisonError):
    """Say why pairs cannot be compacted into a folder."""


class CompactionUnreadableError(CompactionError):
    """Name the file of a compacted folder that cannot be read."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(
            f"{path}: {problem}; expected a folder that `bentoml migration compact` wrote"
        )


class MemoryLackingError(ComparisonError):
    """Say how much memory counting may use, and how to need less."""

    def __init__(self, place: str | Path, allowed: int) -> None:
        super().__init__(
            f"{place}: counting its pairs takes more memory than the {allowed >> 20:,} MB that it "
            "may take, half of what this machine or container has; give it more memory, or compare "
            "fewer days"
        )


class InputUnreadableError(ComparisonError):
    """Name the file or table, the row and column of a problem, and the expected content."""

    def __init__(self, path: Path | str, problem: str, place: str | None = None) -> None:
        self.path = path
        self.problem = problem
        self.place = place
        super().__init__(f"{path}, {place}: {problem}" if place else f"{path}: {problem}")


class LabelsUnreadableError(InputUnreadableError):
    """Name the place of a value that is not a label."""


class LabelWordError(LabelsUnreadableError):
    """Name file, place and column of a word that is neither true nor false."""


class LabelsUnfitError(ComparisonError):
    """Name the output with truths as labels, and its classes."""

    def __init__(self, output: str, classes: Sequence[str]) -> None:
        self.output = output
        named = ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
        super().__init__(
            f"the labels of {output} are 1 and 0 (or true and false), and its classes are {named}: "
            "say which of them is which"
        )


class RelevanceUnfitError(ComparisonError):
    """Name the output whose labels are not lists of relevant ids, and the labels found."""

    def __init__(self, output: str, found: str) -> None:
        self.output = output
        super().__init__(
            f"the labels of {output} have {found}; expected are ids of relevant items, best with a "
            "grade each: 17, 17|4 or 17=3|4=1 (%7C stands for |, %3D for =, %25 for % in an id)"
        )


class OutcomesUnreadableError(InputUnreadableError):
    """Name the place of a value that is not an outcome."""


class PreferencesUnreadableError(InputUnreadableError):
    """Name the place of a value that is not a preference."""


class TimeUnreadableError(ComparisonError):
    """Name a text that is not a time, and the expected form."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"{given} is not an ISO 8601 time such as 2025-11-24T06:00 (UTC) or "
            "2025-11-24T06:00+01:00"
        )


class TextsMissingError(ComparisonError):
    """Say that no texts were recorded."""


class JudgeNotFoundError(ComparisonError):
    """Say why a name does not lead to a judge."""


class JudgeFailingError(ComparisonError):
    """Say that a judge failed on many questions in a row, and with which error."""


class NothingToJudgeError(ComparisonError):
    """Say why the flag is at no step of the playbook."""
