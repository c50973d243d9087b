"""Two models of one number each, paired as in a service."""

from typing import Any

from flags.pairing.assignment import Assign, Side
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, PairSink
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.scorer import Scorer
from flags.pairing.side_threads import SideThreads
from tests.support.fakes import OUTPUT, THRESHOLD, FixedAssignment

READING = Reading.of(OUTPUT, THRESHOLD)
PRIMARY_SCORE, CANDIDATE_SCORE = 0.2, 0.7
NEVER = 30.0
"""A limit in seconds that no call of these tests reaches."""
SOON = 0.3
"""A limit in seconds for a call that would never end by itself; it has begun by then."""


def pairing_of(
    primary: Any,
    candidate: Any,
    *,
    assign: Assign | None = None,
    sink: PairSink | None = None,
    limits: Limits | None = None,
    reading: Reading = READING,
    primary_threads: SideThreads | None = None,
    lazy_insurance: bool = False,
) -> Pairing:
    return Pairing(
        Scorer(
            Side.PRIMARY,
            primary,
            reading,
            tag="v1:1",
            threads=primary_threads,
            unreadable_is_error=False,
        ),
        Scorer(Side.CANDIDATE, candidate, reading, tag="v2:1"),
        assign=assign or FixedAssignment(Side.PRIMARY),
        reading=reading,
        sink=sink if sink is not None else InMemoryPairs(),
        limits=limits or Limits(candidate_timeout=NEVER, shadow_timeout=NEVER),
        lazy_insurance=lazy_insurance,
    )
