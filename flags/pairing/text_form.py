"""The normal form of a text, in which two answers that mean the same look the same."""

import unicodedata


def normalised(text: str) -> str:
    """Return a text in Unicode's NFKC form, without case, each white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
