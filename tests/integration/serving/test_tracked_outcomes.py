"""Outcomes that an application tracks are in the pair files, and reach the gate."""

from pathlib import Path

import httpx
import pytest

from comparison.pairs.reader import read_all
from flags.pairing.unit import unit_hash
from flags.unleash.flags_file import write_flags_file
from service.serving import Serving
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

KEY = "a key of 16 bytes or more"


@pytest.mark.parametrize("placement", ["isolated", "embedded"])
def test_complaints_that_a_service_tracks_are_read_back_with_their_requests(
    tmp_path: Path, placement: str
) -> None:
    write_flags_file(tmp_path / "flags.json", "things-v2", 50)
    settings = environment(
        tmp_path / "bentoml",
        FLAGS_FILE=str(tmp_path / "flags.json"),
        PAIRS_DIR=str(tmp_path / "pairs"),
        UNIT_KEY=KEY,
        PLACEMENT=placement,
    )
    target = "tests.support.services.tracked:Tracked"
    with Serving(target, environment=settings, log=tmp_path / "log", folder=ROOT) as serving:
        for number in range(3):
            answer = httpx.post(
                f"{serving.url}/judge",
                json={"amount": 30.0},
                headers={"X-Request-Id": f"r{number}"},
                timeout=20,
            )
            assert answer.status_code == 200
        said = httpx.get(
            f"{serving.url}/desk/complain", params={"request": "r1", "user": "ada"}, timeout=20
        )
        assert said.text == "sorry"
    read = read_all(tmp_path / "pairs")
    found = read.tracked.frame.sort_values("sequence")
    assert sorted(read.frame["request_id"]) == ["r0", "r1", "r2"]
    assert found[["metric", "value", "request_id"]].to_numpy().tolist() == [
        ["complaint", 1.0, "r1"],
        ["money_lost", 12.5, "r1"],
    ]
    assert found["worker"].unique().tolist() == read.frame["worker"].unique().tolist()
    assert (read.tracked.lost, read.accounting.completeness) == (0, 1.0)
    # The flag draws requests: who the user is does not say which side answered.
    assert found["unit"].isna().all()
    assert unit_hash(KEY.encode(), "ada") not in found.to_csv()
