"""Simulations of the gate's outcomes: how often it errs, and how many requests it takes."""
