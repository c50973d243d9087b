"""Where commands record, in the folder in which they are run, unless an option names a file."""

from pathlib import Path
from typing import Final

AUDIT: Final = Path("migration-audit.jsonl")
LOOKS: Final = Path("migration-looks.jsonl")
