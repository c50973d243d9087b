"""Read and move a flag through Unleash's Admin API."""

from flags.admin.author import Author
from flags.admin.flag import FlagEvent, FlagState
from flags.admin.seed import Seeded, seed
from flags.admin.strategy import Strategy
from flags.admin.unleash import UnleashAdmin

__all__ = ["Author", "FlagEvent", "FlagState", "Seeded", "Strategy", "UnleashAdmin", "seed"]
