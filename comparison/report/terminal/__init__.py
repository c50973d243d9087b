"""The reports for a terminal."""
