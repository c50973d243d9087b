"""Name who changes flags, as the event log does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Author:
    """Name the user or the admin token behind an entry of the event log."""

    name: str
    by_token: bool
    """True of an admin token, False of a person: logged in, or by a personal access token."""

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Self:
        """Read what the Admin API says of who is asking; KeyError or TypeError if it does not.

        unleash-server gives persons an id, and logs them by e-mail address where they have one.
        """
        user = answer["user"]
        if user.get("id") is None:
            return cls(user["username"], by_token=True)
        return cls(user.get("email") or user["username"], by_token=False)

    def __str__(self) -> str:
        """Say it as `status` does."""
        return f"{self.name} (admin token)" if self.by_token else self.name
