"""Join labels with pairs, and count labels by assigned side."""
