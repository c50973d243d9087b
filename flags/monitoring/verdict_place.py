"""The file of the last verdict on a flag, in the folder of its pairs."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

FOLDER: Final = ".verdicts"
"""Name of the folder inside the folder of pairs; readers of pairs skip names with a dot."""


def verdict_path(pairs: Path, flag: str) -> Path:
    """Return the file to which commands write their verdict for the live page."""
    return pairs / FOLDER / f"{quote(flag, safe='')}.json"
