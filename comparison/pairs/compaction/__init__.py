"""Compaction of pair files to Parquet: the runs, the files they write, and the target folder."""
