"""Simulations of the gate's checks of outcomes: error rates, and the requests that they need."""
