"""The normal form of a text, in which differences of case and white space are removed."""

import unicodedata


def normalised(text: str) -> str:
    """Return a text in Unicode's NFKC form, case-folded, each run of white space as one blank."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
