"""Show pairs to an engine: from memory, from Parquet, from a table of any engine."""
