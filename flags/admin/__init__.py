"""Read and move a flag through Unleash's Admin API."""

from flags.admin.flag import FlagEvent, FlagState
from flags.admin.seed import Seeded, seed
from flags.admin.strategy import Strategy
from flags.admin.unleash import UnleashAdmin

__all__ = ["FlagEvent", "FlagState", "Seeded", "Strategy", "UnleashAdmin", "seed"]
