"""Counts of the files of a compacted folder, which are kept beside them."""
