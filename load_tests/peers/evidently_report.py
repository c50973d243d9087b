"""Compare both sides by evidently: drift and summary of the columns, quality by label.

Run by the Python of evidently's own environment, with a Parquet file of pairs and one of labels.
"""

import sys
from typing import Any

import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset
from tables import CATEGORIES, NUMBERS, tables, timed


def report(sides: dict[str, pd.DataFrame]) -> str:
    """Return the figures as JSON."""
    columns = [*NUMBERS, *CATEGORIES]
    binary = BinaryClassification(
        target="label", prediction_labels="alarm", prediction_probas="score"
    )
    definition = DataDefinition(
        numerical_columns=NUMBERS, categorical_columns=CATEGORIES, classification=[binary]
    )
    presets: list[Any] = [
        DataDriftPreset(columns=columns),
        DataSummaryPreset(columns=columns),
        ClassificationPreset(),
    ]
    candidate, primary = (
        Dataset.from_pandas(sides[side], data_definition=definition)
        for side in ("candidate", "primary")
    )
    return str(Report(presets).run(candidate, primary).json())


if __name__ == "__main__":
    timed(lambda: report(tables(sys.argv[1], sys.argv[2])))
