"""A table of pairs, built from blocks of rows whose spans may have different attributes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from comparison.pairs.column_types import CATEGORY, CONTENT
from comparison.pairs.columns import (
    ATTRIBUTE_COLUMNS,
    SPAN_COLUMNS,
    Column,
    column_of,
    output_columns,
    short_name,
)
from comparison.pairs.read_counts import Block
from comparison.pairs.sides import SIDES

_FIXED = {column.name: column for column in (*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values())}


class Table:
    """Blocks of rows, kept as arrays and not as Python objects.

    `outputs` are the outputs of earlier tables, in order: they come first here. Columns of type
    CONTENT are left out unless `texts` is True: they are large, and counting does not need them.
    """

    def __init__(self, outputs: Iterable[str] = (), *, texts: bool = False) -> None:
        expected = (column for output in outputs for column in output_columns(output))
        self._columns = _FIXED | {column.name: column for column in expected}
        self._blocks: list[tuple[int, dict[str, Any]]] = []
        self._texts = texts
        self.rows = 0

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of the scores, in the order in which they first appeared."""
        outputs = (column.output for column in self._columns.values())
        return tuple(dict.fromkeys(output for output in outputs if output))

    def add(self, block: Block) -> None:
        """Add a block, joining the columns of all its shapes; a missing attribute is None."""
        values_of: dict[str, Sequence[Any]] = {}
        size = 0
        for shape, raw_columns in block.items():
            columns = (*SPAN_COLUMNS, *map(column_of, shape))
            for column, values in zip(columns, raw_columns, strict=True):
                if column is None or not self._holds(column):
                    continue
                self._columns.setdefault(column.name, column)
                if size:  # an attribute that occurs twice: the last one counts
                    before = values_of.get(column.name, ())[:size]
                    values = [*before, *[None] * (size - len(before)), *values]
                values_of[column.name] = values
            size += len(raw_columns[0])
            for name, aligned in values_of.items():
                if len(aligned) < size:
                    values_of[name] = [*aligned, *[None] * (size - len(aligned))]
        parts = {name: self._columns[name].type.part(raw) for name, raw in values_of.items()}
        self._append(size, parts)

    def add_parts(self, size: int, parts: Mapping[Column, Any]) -> None:
        """Add a block of `size` rows whose columns `ColumnType.part` or `to_parts` converted."""
        kept = {column: part for column, part in parts.items() if self._holds(column)}
        for column in kept:
            self._columns.setdefault(column.name, column)
        self._append(size, {column.name: part for column, part in kept.items()})

    def join(self, other: "Table") -> None:
        """Append the rows of another table."""
        for name, column in other._columns.items():
            self._columns.setdefault(name, column)
        self._blocks += other._blocks
        self.rows += other.rows

    def _holds(self, column: Column) -> bool:
        return self._texts or column.type is not CONTENT

    def _append(self, size: int, parts: dict[str, Any]) -> None:
        self._blocks.append((size, parts))
        self.rows += size

    def frame(self) -> pd.DataFrame:
        """Return all rows as a frame; it has the fixed columns even if no span has them."""
        arrays = {}
        for name, column in self._columns.items():
            parts = [
                parts[name] if name in parts else column.type.part([None] * size)
                for size, parts in self._blocks
            ]
            arrays[name] = column.type.join(parts)
        return _with_decisions(pd.DataFrame(arrays, copy=False), self.outputs)


def _with_decisions(frame: pd.DataFrame, outputs: Iterable[str]) -> pd.DataFrame:
    """Fill in missing decisions from score and threshold: another writer may leave them out."""
    for output in outputs:
        for side in SIDES:
            decision = f"{side}_decision.{output}"
            if f"{side}_score.{output}" not in frame or f"{side}_threshold.{output}" not in frame:
                continue
            score, threshold = frame[f"{side}_score.{output}"], frame[f"{side}_threshold.{output}"]
            known = np.isfinite(score) & threshold.notna()
            if decision in frame:
                known &= frame[decision].isna()
            else:
                frame[decision] = pd.array([None] * len(frame), dtype="boolean")
            if known.any():
                frame.loc[known, decision] = (score >= threshold)[known]
    return frame


def only_flag(
    frame: pd.DataFrame, flag: str | None, outputs: tuple[str, ...]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return rows and outputs of one flag, without columns and categories of other flags only."""
    frame = frame.loc[frame["flag"] == flag].reset_index(drop=True)
    fixed = set(_FIXED)
    unused = [name for name in frame.columns if name not in fixed and frame[name].isna().all()]
    frame = frame.drop(columns=unused)
    for name, column in _FIXED.items():
        if column.type == CATEGORY:
            frame[name] = frame[name].cat.remove_unused_categories()
    for name in frame.columns[frame.columns.str.startswith("segment.")]:
        frame[name] = frame[name].cat.remove_unused_categories()
    kept = (
        output
        for output in outputs
        if any(column.name in frame for column in output_columns(output))
    )
    return frame, tuple(kept)


def name_outputs(frame: pd.DataFrame, outputs: tuple[str, ...]) -> pd.DataFrame:
    """Give every output all its columns, and the first output short names: `primary_score`."""
    rest: dict[str, Any] = {str(name): values for name, values in frame.items()}
    ordered = {name: rest.pop(name) for name in _FIXED}
    for position, output in enumerate(outputs or ("",)):
        for column in output_columns(output):
            name = column.name if position else short_name(column)
            values = rest.pop(column.name, None)
            if values is None:
                values = column.type.join([column.type.part([None] * len(frame))])
            ordered[name] = values
    return pd.DataFrame(ordered | {name: rest[name] for name in sorted(rest)})
