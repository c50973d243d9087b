"""Pair files to Parquet: what each run takes, and where it writes."""
