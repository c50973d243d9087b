"""Sides that call services of their own, which are legacy runners, in each placement."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from comparison.pairs.reader import load_pairs
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

ASKED = 20


@pytest.fixture(scope="module", params=["embedded", "isolated", "runners"])
def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[httpx.Response], Path]]:
    folder = tmp_path_factory.mktemp(request.param)
    write_flags_file(folder / "flags.json", "composed-v2", 50)
    settings = environment(
        folder / "bentoml",
        PLACEMENT=request.param,
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        CANDIDATE_TIMEOUT="60",
        SHADOW_TIMEOUT="60",
    )
    target, log = "tests.support.services.composed:Composed", folder / "service.log"
    with (
        Serving(target, environment=settings, log=log, folder=ROOT) as serving,
        httpx.Client(base_url=serving.url, timeout=60) as client,
    ):
        yield (
            [
                client.post(
                    "/judge", json={"amount": number}, headers={"X-Request-Id": f"r{number}"}
                )
                for number in range(ASKED)
            ],
            folder / "pairs",
        )


def test_both_sides_answer_by_what_they_depend_on(
    answers: tuple[list[httpx.Response], Path],
) -> None:
    responses, _ = answers
    factor = {"primary": 0.5, "candidate": 6}
    sides = [response.headers["X-Model-Side"] for response in responses]
    assert set(sides) == {"primary", "candidate"}
    assert [json.loads(response.text) for response in responses] == [
        factor[side] * number for number, side in enumerate(sides)
    ]


def test_each_pair_has_the_scores_of_both(answers: tuple[list[httpx.Response], Path]) -> None:
    _, folder = answers
    assert eventually(lambda: len(load_pairs(folder)) == ASKED, 60)
    pairs = load_pairs(folder).set_index("request_id")
    for number in range(ASKED):
        pair = pairs.loc[f"r{number}"]
        assert (pair["primary_score"], pair["candidate_score"]) == (number / 2, 6 * number)
