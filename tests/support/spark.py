"""Spark on this machine, if it is installed, with Java."""

import shutil
from importlib.util import find_spec

import pytest

needs_spark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="no Spark: make spark, and Java 17 or later",
)
