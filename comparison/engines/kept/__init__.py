"""Counts of the files of a compacted folder, kept beside these files."""
