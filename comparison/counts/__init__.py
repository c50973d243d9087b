"""Mergeable counts of pairs, made in the engine that holds the pairs."""
