"""The commands that need pandas."""
