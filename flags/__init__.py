"""Make one BentoML service of two, and let a feature flag decide which one answers.

Names are imported when they are first used: `comparison` reads `flags.attributes` without BentoML,
and every `bentoml` command loads `flags.cli` without a flag client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flags.assignment import Assignment, FlagAssignment, Side
    from flags.blocking import BlockingPairing
    from flags.limits import Limits
    from flags.migration import migrate
    from flags.observation import InMemoryPairs, Observation, Pair, PairSink, Status
    from flags.pair import Answer, Pairing, Request
    from flags.reading import Reading
    from flags.scorer import Call, Scorer
    from flags.settings import Settings
    from flags.unleash.provider import FlagFile, FlagServer, UnleashProvider

__all__ = [
    "Answer",
    "Assignment",
    "BlockingPairing",
    "Call",
    "FlagAssignment",
    "FlagFile",
    "FlagServer",
    "InMemoryPairs",
    "Limits",
    "Observation",
    "Pair",
    "PairSink",
    "Pairing",
    "Reading",
    "Request",
    "Scorer",
    "Settings",
    "Side",
    "Status",
    "UnleashProvider",
    "migrate",
]

_HOME = {
    "flags.assignment": ("Assignment", "FlagAssignment", "Side"),
    "flags.blocking": ("BlockingPairing",),
    "flags.limits": ("Limits",),
    "flags.migration": ("migrate",),
    "flags.observation": ("InMemoryPairs", "Observation", "Pair", "PairSink", "Status"),
    "flags.pair": ("Answer", "Pairing", "Request"),
    "flags.unleash.provider": ("FlagFile", "FlagServer", "UnleashProvider"),
    "flags.reading": ("Reading",),
    "flags.scorer": ("Call", "Scorer"),
    "flags.settings": ("Settings",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'flags' has no attribute {name!r}")
