"""Make the evidence of a step from counts."""
