"""The main job on real card transactions, through real `bentoml serve` processes."""

import asyncio
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from yggdrasil_engine.engine import UnleashEngine

from comparison.pairs.reader import read_pairs
from comparison.summary.in_memory import summarise
from flags.unleash.flags_file import write_flags_file
from service.replay import Reply, bodies, replay
from service.serving import Serving
from tests.support.fraud_store import environment, run
from tests.support.paths import ROOT

FLAG = "fraud-detector-v2"
SHADOWED = 3_000
ROUTED = 200

TRAIN = """
import sys
import pandas as pd
from service.training import feature_rows, production, save, train
transactions = pd.read_parquet(sys.argv[1])
trained = train(transactions)
save(trained, "the handbook's table")
sample = production(transactions).sample(int(sys.argv[2]), random_state=0)
rows = feature_rows(sample)
for side, model in (("primary", trained.v1), ("candidate", trained.v2)):
    sample[side] = model.classifier.predict_proba(rows)[:, 1]
sample.to_parquet(sys.argv[3])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(scope="module")
def sample(
    transactions_path: Path, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> pd.DataFrame:
    """Production transactions, with what each model says of them when it is called directly."""
    table = tmp_path_factory.mktemp("sample") / "sample.parquet"
    run(TRAIN, str(transactions_path), str(SHADOWED), str(table), home=home)
    return pd.read_parquet(table)


@pytest.mark.slow
@pytest.mark.parametrize(("placement", "shadowed"), [("embedded", SHADOWED), ("runners", 1_000)])
def test_real_traffic_is_answered_paired_and_routed_as_the_flag_says(
    placement: str, shadowed: int, sample: pd.DataFrame, home: Path, tmp_path: Path
) -> None:
    flags, pairs = tmp_path / "flags.json", tmp_path / "pairs"
    write_flags_file(flags, FLAG, 0)
    sample = sample.iloc[:shadowed]
    requests = [(f"tx-{number}", body) for number, body in enumerate(bodies(sample))]
    with Serving(
        "service.app:FraudDetector",
        environment=environment(
            home,
            PLACEMENT=placement,
            FLAGS_FILE=str(flags),
            PAIRS_DIR=str(pairs),
            SHADOW_CONCURRENCY="10000",  # a closed loop saturates; what is shed is another test's
            SHADOW_TIMEOUT="60",
            CANDIDATE_TIMEOUT="60",
        ),
        log=tmp_path / "service.log",
        folder=ROOT,
    ) as serving:
        replies = asyncio.run(replay(serving.url, requests, concurrency=8))
        assert [reply.status for reply in replies] == [200] * shadowed
        assert {reply.side for reply in replies} == {"primary"}
        routed = {
            rollout: _candidates(serving.url, flags, rollout, requests[:ROUTED])
            for rollout in (1, 5, 10, 50, 100)
        }
    _assert_monotone(routed)
    for rollout, ids in routed.items():
        assert ids == _by_the_engine(tmp_path / "bare.json", rollout, requests[:ROUTED])

    read = read_pairs(pairs)
    assert read.accounting.completeness == 1
    assert len(read.frame) == shadowed + 5 * ROUTED
    _assert_scores_are_those_of_the_models(read.frame.iloc[:shadowed], sample)
    figures = summarise(read).outputs[0].alarms
    assert figures is not None
    assert figures.ratio.low <= 3.72 <= figures.ratio.high


def _candidates(
    url: str, flags: Path, rollout: int, requests: list[tuple[str, dict[str, float | int]]]
) -> set[str]:
    """Return the ids that the candidate answers at `rollout`, once the worker has seen it."""
    write_flags_file(flags, FLAG, rollout)
    expected = _by_the_engine(flags, rollout, requests)

    async def settle() -> list[Reply]:
        await asyncio.sleep(2)  # the promise for an edit of the file
        return await replay(url, requests, concurrency=8)

    replies = asyncio.run(settle())
    assert [reply.status for reply in replies] == [200] * len(requests)
    assert len(expected) <= len(requests)
    return {reply.request_id for reply in replies if reply.side == "candidate"}


def _by_the_engine(
    file: Path, rollout: int, requests: list[tuple[str, dict[str, float | int]]]
) -> set[str]:
    """Return the ids for which Unleash's own engine says that the flag is on."""

    write_flags_file(file, FLAG, rollout)
    engine = UnleashEngine()
    engine.take_state(file.read_text())
    return {
        request_id
        for request_id, _ in requests
        if engine.check_enabled(FLAG, {"properties": {"requestId": request_id}}).is_enabled
    }


def _assert_monotone(routed: dict[int, set[str]]) -> None:
    rollouts = sorted(routed)
    for lower, higher in itertools.pairwise(rollouts):
        assert routed[lower] <= routed[higher]
    assert len(routed[100]) == ROUTED


def _assert_scores_are_those_of_the_models(frame: pd.DataFrame, sample: pd.DataFrame) -> None:
    served = frame.set_index("request_id").loc[[f"tx-{number}" for number in range(len(sample))]]
    for side in ("primary", "candidate"):
        assert (served[f"{side}_status"] == "ok").all()
        np.testing.assert_allclose(
            served[f"{side}_score"].to_numpy(), sample[side].to_numpy(), rtol=0, atol=1e-9
        )
