"""Simulations of the gate: how often it errs, how late it is, and what that costs in pairs."""
