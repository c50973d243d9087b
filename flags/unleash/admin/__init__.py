"""A client of Unleash's Admin API, for one flag."""

from flags.unleash.admin.client import UnleashAdmin
from flags.unleash.admin.events import Author
from flags.unleash.admin.flag import FlagEvent, FlagState
from flags.unleash.admin.seed import Seeded, seed
from flags.unleash.admin.strategy import Strategy

__all__ = ["Author", "FlagEvent", "FlagState", "Seeded", "Strategy", "UnleashAdmin", "seed"]
