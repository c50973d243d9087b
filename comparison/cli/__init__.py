"""Offer the commands that need pandas."""
