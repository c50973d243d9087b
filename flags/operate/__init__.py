"""Move a flag on evidence, and record that it was moved."""
