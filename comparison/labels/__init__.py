"""The labels, which come late: what each request turned out to be."""

from comparison.labels.labels import Labels, columns_of, load_labels

__all__ = ["Labels", "columns_of", "load_labels"]
