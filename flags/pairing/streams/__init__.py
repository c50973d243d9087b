"""The pairing of answers that are streams."""
