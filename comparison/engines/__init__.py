"""The sources of pairs for an engine: memory, Parquet, a table of any engine."""
