"""The placement that a test asks for by `PLACEMENT`: one of ours, `remote`, `own_environment`."""

import os
import sys
from typing import Any

from bentoml import Service

from flags import Remote


def placed(candidate: Service[Any], default: str = "runners") -> dict[str, Any]:
    """Return the arguments of `migrate` that place the candidate; CANDIDATE_URL says where."""
    placement = os.environ.get("PLACEMENT", default)
    if placement == "remote":
        return {"candidate": Remote("http://candidate-url.invalid", name="not-seen-yet")}
    if placement == "own_environment":  # of the same libraries: how it is reached is what matters
        target = f"{candidate.inner.__module__}:{candidate.inner.__name__}"
        return {"candidate": target, "candidate_python": sys.executable}
    return {"candidate": candidate, "placement": placement}
