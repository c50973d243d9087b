"""The monitoring of workers: state files, metrics, counts of the last minutes."""
