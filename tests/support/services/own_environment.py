"""A service whose candidate runs with other libraries, in an environment of its own."""

import os

import bentoml

from flags import Reading, migrate
from tests.support.services.other_libraries import Judging


@bentoml.service(traffic={"timeout": 60})
class TheseLibraries(Judging):
    """The primary."""


Judge = migrate(
    primary=TheseLibraries,
    candidate="tests.support.services.other_libraries:OtherLibraries",
    candidate_python=os.environ.get("CANDIDATE_PYTHON"),
    candidate_requirements=os.environ.get("CANDIDATE_REQUIREMENTS"),
    flag="other-libraries",
    score="score",
    threshold=0.5,
    apis={
        "scale": Reading.of(lambda vector: float(vector[0])),
        "annotate": None,
        "invert": Reading.of("width"),
        "reverse": None,
        "tokens": Reading.of({"tokens": len}),
        "count": None,
    },
    name="Judge",
)
