"""The labels, which come late: what each request turned out to be."""

from comparison.labels.labels import LabelFiles, Labels, load_labels
from comparison.labels.use import columns_of

__all__ = ["LabelFiles", "Labels", "columns_of", "load_labels"]
