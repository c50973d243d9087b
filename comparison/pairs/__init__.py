"""The pairs on disk: pair files, compacted Parquet, one DataFrame."""

from comparison.pairs.reader import Pairs, load_pairs, read_pairs

__all__ = ["Pairs", "load_pairs", "read_pairs"]
