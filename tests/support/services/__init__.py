"""Services that the tests serve for real."""
