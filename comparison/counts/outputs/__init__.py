"""Counts of the outputs of pairs: scores, alarms, segments, labels."""
