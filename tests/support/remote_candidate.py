"""The candidate as a deployment of its own, for tests that try every placement."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service.serving import Serving
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

PLACEMENTS = ("embedded", "isolated", "runners", "remote")


@contextmanager
def candidate_for(
    placement: str, target: str, folder: Path, **settings: str
) -> Iterator[Mapping[str, str]]:
    """Serve `target` where the placement is `remote`; yield the settings that lead to it."""
    if placement != "remote":
        yield {}
        return
    given = {"FLAGS_FILE": str(folder / "none.json"), "PAIRS_DIR": str(folder / "none"), **settings}
    with Serving(
        target,
        environment=environment(folder / "remote-bentoml", **given),
        log=folder / "remote.log",
        folder=ROOT,
    ) as serving:
        yield {"CANDIDATE_URL": serving.url}
