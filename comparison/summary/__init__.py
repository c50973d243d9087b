"""The figures of a first comparison, and their meaning."""
