"""Simulations of the gate: its error rates, its delays, and the pairs that it needs."""
