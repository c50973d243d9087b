"""The labels: the true values of requests, which come late."""

from comparison.labels.labels import LabelFiles, Labels, load_labels
from comparison.labels.use import columns_of

__all__ = ["LabelFiles", "Labels", "columns_of", "load_labels"]
