"""Which column of labels is that of which output, and as what it is taken."""

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
    """Return, by output, the column that holds its labels; one without labels is left out.

    `label` is that of the only output, or of the only one of the `deciding`, those that have a
    threshold. Of several outputs it is none's: nothing says which one it is about.
    """
    found = {name: f"{OF_OUTPUT}{name}" for name in outputs if f"{OF_OUTPUT}{name}" in columns}
    for only in (outputs, deciding):
        if LABEL in columns and len(only) == 1:
            return {only[0]: LABEL}
    return found


@dataclass(frozen=True, slots=True)
class TypedLabels:
    """Hold, by output, the column of its labels and what they are to it.

    Those of a score are truths. Those of a number are truths if they may be, as those of a
    probability are, else numbers. Those of other outputs are what they are.
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
        """Match columns with `outputs`, of which `deciding` have thresholds and `others` no number.

        Raises LabelWordError where a score has words as labels, LabelsUnreadableError for a number.
        """
        found, schema = {}, ibis.Schema.from_pyarrow(labels.facts.schema)
        for output, column in columns_of(schema.names, outputs, tuple(deciding)).items():
            kind = schema[column]
            held = LabelType.TRUTH if kind.is_boolean() else LabelType.NUMBER
            held = LabelType.WORD if kind.is_string() else held
            if output not in others and held is not LabelType.TRUTH:
                held = _as_number(labels, column, is_score=output in deciding)
            found[output] = column, held
        return cls(found)

    def truths(self, outputs: Collection[str]) -> dict[str, str]:
        """Return the columns that are truths to some outputs, by output."""
        return {
            output: column
            for output, (column, kind) in self.of_output.items()
            if kind is LabelType.TRUTH and output in outputs
        }

    def in_truths(self, table: ir.Table) -> ir.Table:
        """Return labels whose numbers that are taken as truths are truths: those above zero."""
        columns = {column for column, kind in self.of_output.values() if kind is LabelType.TRUTH}
        numbers = [name for name in columns if table[name].type().is_floating()]
        return table.mutate(**{name: table[name] > 0 for name in numbers}) if numbers else table


def _as_number(labels: "Labels", column: str, *, is_score: bool) -> LabelType:
    """Return what numbers or words are to a score or a number; raises as `TypedLabels.of`."""
    against: Mapping[LabelType, LabelsUnreadableError] = labels.facts.refusals.get(column, {})
    if LabelType.TRUTH not in against:
        return LabelType.TRUTH
    if is_score:
        word = against[LabelType.TRUTH]
        raise LabelWordError(word.path, word.problem, word.place)
    if LabelType.NUMBER in against:
        raise against[LabelType.NUMBER]
    return LabelType.NUMBER
