"""One BentoML service made of two: a feature flag decides which one answers.

Names are imported when they are first used, so that `comparison` reads `flags.export.attributes`
without BentoML, and every `bentoml` command loads `flags.cli` without a flag client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flags.export.outcomes import OutcomeTracking, outcome_files, track
    from flags.pairing.assignment import Assignment, FlagAssignment, Side
    from flags.pairing.blocking import BlockingPairing
    from flags.pairing.call import Call
    from flags.pairing.delivery import Answer
    from flags.pairing.kinds.category import Category
    from flags.pairing.kinds.number import Number
    from flags.pairing.kinds.ranking import Ranking
    from flags.pairing.kinds.score import Score
    from flags.pairing.kinds.text import Text
    from flags.pairing.limits import Limits
    from flags.pairing.observation import InMemoryPairs, Observation, Pair, PairSink, Status
    from flags.pairing.pairing import Pairing
    from flags.pairing.reading import Reading
    from flags.pairing.request import Request
    from flags.pairing.scorer import Scorer
    from flags.serving.migrate import migrate
    from flags.serving.remote.address import Remote
    from flags.serving.settings import Settings
    from flags.unleash.provider import FlagFile, FlagServer, UnleashProvider

__all__ = [
    "Answer",
    "Assignment",
    "BlockingPairing",
    "Call",
    "Category",
    "FlagAssignment",
    "FlagFile",
    "FlagServer",
    "InMemoryPairs",
    "Limits",
    "Number",
    "Observation",
    "OutcomeTracking",
    "Pair",
    "PairSink",
    "Pairing",
    "Ranking",
    "Reading",
    "Remote",
    "Request",
    "Score",
    "Scorer",
    "Settings",
    "Side",
    "Status",
    "Text",
    "UnleashProvider",
    "migrate",
    "outcome_files",
    "track",
]

_NAMES_BY_MODULE = {
    "flags.export.outcomes": ("OutcomeTracking", "outcome_files", "track"),
    "flags.pairing.assignment": ("Assignment", "FlagAssignment", "Side"),
    "flags.pairing.blocking": ("BlockingPairing",),
    "flags.pairing.kinds.category": ("Category",),
    "flags.pairing.kinds.number": ("Number",),
    "flags.pairing.kinds.ranking": ("Ranking",),
    "flags.pairing.kinds.score": ("Score",),
    "flags.pairing.kinds.text": ("Text",),
    "flags.pairing.limits": ("Limits",),
    "flags.serving.migrate": ("migrate",),
    "flags.pairing.observation": ("InMemoryPairs", "Observation", "Pair", "PairSink", "Status"),
    "flags.pairing.delivery": ("Answer",),
    "flags.pairing.pairing": ("Pairing",),
    "flags.pairing.request": ("Request",),
    "flags.unleash.provider": ("FlagFile", "FlagServer", "UnleashProvider"),
    "flags.pairing.reading": ("Reading",),
    "flags.pairing.call": ("Call",),
    "flags.pairing.scorer": ("Scorer",),
    "flags.serving.remote.address": ("Remote",),
    "flags.serving.settings": ("Settings",),
}


def __getattr__(name: str) -> Any:
    for module, names in _NAMES_BY_MODULE.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'flags' has no attribute {name!r}")
