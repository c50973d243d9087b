"""Pseudo-random draws by a hash: a name always gives the same draw."""

import hashlib


def is_drawn(purpose: str, name: str, share: float) -> bool:
    """Say whether `name` belongs to a `share` (0 to 1) of all names.

    Names of a smaller share belong to each larger one too. Draws of two purposes are independent.
    """
    return share >= 1 or (share > 0 and hash_fraction(purpose, name) < share)


def hash_fraction(purpose: str, name: str) -> float:
    """Return a number from 0 to 1 that a hash of purpose and name determines."""
    digest = hashlib.blake2b(f"{purpose}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2.0**64
