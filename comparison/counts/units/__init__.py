"""Counts by unit: what stands for who sent the requests."""
