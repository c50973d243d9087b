"""The file of the last verdict on a flag, in the folder of its pairs."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

FOLDER: Final = ".verdicts"
"""Inside the folder of the pairs; readers of pairs leave names with a dot out."""


def verdict_path(pairs: Path, flag: str) -> Path:
    """Return where commands that judge leave their verdict, and the live page finds it."""
    return pairs / FOLDER / f"{quote(flag, safe='')}.json"
