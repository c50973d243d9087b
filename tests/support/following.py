"""Serve a migrated service that follows its flag in a real Unleash."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flags.operate.watch import running_workers
from flags.unleash.local import LocalUnleash
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

THINGS: Final = "tests.support.services.scaled:Things"
"""A service that does little, and reads the key of its flag from `FLAG`."""


@contextmanager
def following(
    unleash: LocalUnleash,
    flag: str,
    folder: Path,
    *,
    service: str = THINGS,
    workers: int = 2,
    **settings: str,
) -> Iterator[Serving]:
    """Serve with `workers` workers that look at `flag` every second; yield once all have begun.

    `folder` gets the service's home, its log, and its pairs in `pairs`.
    """
    named = {
        "FLAG": flag,
        "API_WORKERS": str(workers),
        "UNLEASH_URL": unleash.sdk_url,
        "UNLEASH_API_TOKEN": unleash.client_token,
        "FLAGS_REFRESH_INTERVAL": "1",
        "PAIRS_DIR": str(folder / "pairs"),
        "CANDIDATE_TIMEOUT": "20",  # what a busy machine lets time out is not what is tested
        "SHADOW_TIMEOUT": "20",
        **settings,
    }
    folder.mkdir(exist_ok=True)
    with Serving(
        service,
        environment=environment(folder / "bentoml", **named),
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        assert eventually(lambda: len(running_workers(serving.url).workers) == workers, 60)
        yield serving
