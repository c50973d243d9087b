"""The evidence of a step, made from counts."""
