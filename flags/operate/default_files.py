"""Default files of commands for their records, in the working directory."""

from pathlib import Path
from typing import Final

AUDIT: Final = Path("migration-audit.jsonl")
LOOKS: Final = Path("migration-looks.jsonl")
