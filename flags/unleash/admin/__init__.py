"""Read and move a flag through Unleash's Admin API."""

from flags.unleash.admin.client import UnleashAdmin
from flags.unleash.admin.events import Author
from flags.unleash.admin.flag import FlagEvent, FlagState
from flags.unleash.admin.seed import Seeded, seed
from flags.unleash.admin.strategy import Strategy

__all__ = ["Author", "FlagEvent", "FlagState", "Seeded", "Strategy", "UnleashAdmin", "seed"]
