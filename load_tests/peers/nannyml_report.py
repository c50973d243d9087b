"""Compare both sides by nannyml: drift of the columns, quality by label, in eight chunks.

Run by the Python of nannyml's own environment, with a Parquet file of pairs and one of labels.
"""

import os
import sys

os.environ["NML_DISABLE_USAGE_LOGGING"] = "true"  # nannyml reads it at import

import nannyml
import pandas as pd
from tables import CATEGORIES, NUMBERS, tables, timed

CHUNKS = 8


def report(sides: dict[str, pd.DataFrame]) -> str:
    """Return the figures as JSON."""
    drift = nannyml.UnivariateDriftCalculator(
        column_names=[*NUMBERS, *CATEGORIES],
        chunk_number=CHUNKS,
        continuous_methods=["wasserstein", "kolmogorov_smirnov"],
        categorical_methods=["jensen_shannon"],
    )
    quality = nannyml.PerformanceCalculator(
        y_pred_proba="score",
        y_pred="alarm",
        y_true="label",
        problem_type="classification_binary",
        metrics=["average_precision", "precision", "recall"],
        chunk_number=CHUNKS,
    )
    found = []
    for calculator in (drift, quality):
        calculator.fit(sides["primary"])
        found.append(calculator.calculate(sides["candidate"]).to_df())
    return "\n".join(str(each.to_json()) for each in found)


if __name__ == "__main__":
    timed(lambda: report(tables(sys.argv[1], sys.argv[2])))
