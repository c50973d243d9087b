"""Tell what a worker does: state files, metrics, the last minutes."""
