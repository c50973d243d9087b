"""The column of labels of each output, and the type in which it is used."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import ibis
import ibis.expr.types as ir

from comparison.errors import LabelsUnreadableError, LabelWordError
from comparison.labels.files import LABEL, OF_OUTPUT
from comparison.labels.types import LabelType

if TYPE_CHECKING:
    from comparison.labels.labels import Labels


def columns_of(
    columns: Sequence[str], outputs: Sequence[str], deciding: Sequence[str]
) -> Mapping[str, str]:
    """Return the column of labels of each output; outputs without labels are left out.

    `label` belongs to the only output, or to the only one with a threshold (`deciding`). With
    several such outputs it belongs to none, since it is not known which one it is about.
    """
    found = {name: f"{OF_OUTPUT}{name}" for name in outputs if f"{OF_OUTPUT}{name}" in columns}
    for only in (outputs, deciding):
        if LABEL in columns and len(only) == 1:
            return {only[0]: LABEL}
    return found


@dataclass(frozen=True, slots=True)
class TypedLabels:
    """The column of labels of each output, and the type in which the output uses it.

    Labels of a score are truths. Labels of a number are truths if all words allow it, as for a
    probability, else numbers. Labels of other outputs keep their type.
    """

    of_output: Mapping[str, tuple[str, LabelType]]

    @classmethod
    def of(
        cls,
        labels: "Labels",
        outputs: Sequence[str],
        deciding: Collection[str],
        others: Collection[str],
    ) -> Self:
        """Match columns with `outputs`: `deciding` have thresholds, `others` are not numbers.

        Raises LabelWordError if the labels of a score are words, LabelsUnreadableError if the
        labels of a number are words.
        """
        found, schema = {}, ibis.Schema.from_pyarrow(labels.facts.schema)
        for output, column in columns_of(schema.names, outputs, tuple(deciding)).items():
            kind = schema[column]
            used = LabelType.TRUTH if kind.is_boolean() else LabelType.NUMBER
            used = LabelType.WORD if kind.is_string() else used
            if output not in others and used is not LabelType.TRUTH:
                used = _type_of_number(labels, column, is_score=output in deciding)
            found[output] = column, used
        return cls(found)

    def truths(self, outputs: Collection[str]) -> dict[str, str]:
        """Return the column of each of `outputs` that uses its labels as truths."""
        return {
            output: column
            for output, (column, kind) in self.of_output.items()
            if kind is LabelType.TRUTH and output in outputs
        }

    def with_truths(self, table: ir.Table) -> ir.Table:
        """Convert numbers that are used as truths: a number above zero is true."""
        columns = {column for column, kind in self.of_output.values() if kind is LabelType.TRUTH}
        numbers = [name for name in columns if table[name].type().is_floating()]
        return table.mutate(**{name: table[name] > 0 for name in numbers}) if numbers else table


def _type_of_number(labels: "Labels", column: str, *, is_score: bool) -> LabelType:
    """Return the type in which a score or a number uses its labels. Raises as `TypedLabels.of`."""
    refusals: Mapping[LabelType, LabelsUnreadableError] = labels.facts.refusals.get(column, {})
    if LabelType.TRUTH not in refusals:
        return LabelType.TRUTH
    if is_score:
        word = refusals[LabelType.TRUTH]
        raise LabelWordError(word.path, word.problem, word.place)
    if LabelType.NUMBER in refusals:
        raise refusals[LabelType.NUMBER]
    return LabelType.NUMBER
