"""Sum up a first comparison, and say what its figures mean."""
