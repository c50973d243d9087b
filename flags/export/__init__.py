"""The export of pairs: spans, pair files and shipping, with an account of every pair."""
