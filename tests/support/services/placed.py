"""The placement that a test asks for by `PLACEMENT`: one of ours, or `remote`."""

import os
from typing import Any

from bentoml import Service

from flags import Remote


def placed(candidate: Service[Any], default: str = "runners") -> dict[str, Any]:
    """Return the arguments of `migrate` that place the candidate; CANDIDATE_URL says where."""
    placement = os.environ.get("PLACEMENT", default)
    if placement == "remote":
        return {"candidate": Remote("http://candidate-url.invalid", name="not-seen-yet")}
    return {"candidate": candidate, "placement": placement}
