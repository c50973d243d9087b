"""The reference Bento: fraud detection on card transactions, v1 to be replaced by v2."""
