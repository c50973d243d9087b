"""The pairing of both sides: one request, two observations, one pair."""
