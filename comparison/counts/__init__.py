"""Mergeable counts of pairs, computed in the engine that has the pairs."""
