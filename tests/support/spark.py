"""Spark on this machine, if it is installed, with Java."""

import shutil
from importlib.util import find_spec

import pytest

needs_spark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="no Spark: make spark, and Java 17 or later",
)

spark_warnings = (
    # PySpark asks pandas 3 for what it has deprecated, and leaves its socket to the end.
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*socket"),
)
