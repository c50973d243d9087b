"""A draw by a name: the same for the same name, and independent of everything else."""

import hashlib


def is_drawn(purpose: str, name: str, share: float) -> bool:
    """Say whether `name` belongs to a `share` (0 to 1) of all names; each purpose draws anew."""
    return share >= 1 or (share > 0 and place(purpose, name) < share)


def place(purpose: str, name: str) -> float:
    """Return where `name` lies between 0 and 1: of a smaller share, each is in a larger one too."""
    digest = hashlib.blake2b(f"{purpose}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64
