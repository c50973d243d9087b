"""The secrets of a local Unleash, in files that only their owner can read."""

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from flags.files import replace_file
from flags.unleash.local.errors import DataFolderError


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of a local Unleash; `repr` does not show them."""

    admin_password: str = field(repr=False)
    admin_token: str = field(repr=False)
    session_secret: str = field(repr=False)
    """Key of session cookies; unleash-server's default for it is publicly known."""

    @classmethod
    def generate(cls) -> Self:
        """Generate random secrets of 192 and 256 bits."""
        return cls(
            admin_password=secrets.token_urlsafe(24),
            admin_token=f"*:*.{secrets.token_hex(32)}",
            session_secret=secrets.token_hex(32),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the secrets of an earlier run. Raises DataFolderError if the file is damaged."""
        try:
            return cls(**json.loads(path.read_text()))
        except (ValueError, TypeError, OSError) as error:
            raise DataFolderError(
                f"{path} holds no credentials ({type(error).__name__}): start with --fresh"
            ) from None

    def save(self, path: Path) -> None:
        """Write the secrets, readable only by their owner."""
        write_private(path, json.dumps(asdict(self)))


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; other users can never read it, not even while it is written."""
    replace_file(path, text.encode(), mode=0o600, durable=True)
