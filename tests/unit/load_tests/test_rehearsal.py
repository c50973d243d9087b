"""What the rehearsal is made of: its traffic, its timeline, its playbook."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from comparison.pairs.reader import read_all
from flags.export import attributes
from flags.playbook.file import read_playbook
from flags.playbook.model import DEFAULT_STEPS
from load_tests.rehearsal import transactions
from load_tests.rehearsal.__main__ import main
from load_tests.rehearsal.commands import Commands
from load_tests.rehearsal.downstream import Downstream
from load_tests.rehearsal.pilot import Pilot
from load_tests.rehearsal.stage import Scenery
from load_tests.rehearsal.timeline import Timeline
from load_tests.rehearsal.transactions import Traffic, thinned
from load_tests.steady_load import Reply, SteadyLoad
from service.serving import Serving
from service.simulator import simulate
from service.training import Trained, feature_rows, production, train
from tests.support.fakes import eventually
from tests.support.pair_files import PairFile


@pytest.fixture(scope="module")
def simulated() -> tuple[pd.DataFrame, Trained]:
    table = simulate(400, 800, seed=1)
    return production(table), train(table)


def alarms(rows: pd.DataFrame, trained: Trained) -> tuple[int, int]:
    """Count the alarms of both models at v1's threshold."""
    v1, v2 = (
        int((side.classifier.predict_proba(feature_rows(rows))[:, 1] >= trained.threshold).sum())
        for side in (trained.v1, trained.v2)
    )
    return v1, v2


def test_thinned_traffic_keeps_every_alarm_and_every_fraud(
    simulated: tuple[pd.DataFrame, Trained],
) -> None:
    rows, trained = simulated
    sent = thinned(rows, trained)
    assert alarms(sent, trained) == alarms(rows, trained)
    assert sent["TX_FRAUD"].sum() == rows["TX_FRAUD"].sum()
    assert sent.index.is_unique
    assert len(sent) < 0.3 * len(rows)


def test_traffic_goes_round_and_what_it_is_goes_with_it() -> None:
    unused: Trained = None  # type: ignore[assignment]  # not asked for here
    requests = ({"a": 1}, {"a": 2}, {"a": 3})
    traffic = Traffic(
        requests, (False, True, False), (True, False, False), (0.0,) * 3, "made", unused
    )
    assert [traffic.body(number)["a"] for number in range(5)] == [1, 2, 3, 1, 2]
    assert [traffic.is_fraud(number) for number in range(5)] == [False, True, False, False, True]
    assert [traffic.is_stopped(number) for number in range(4)] == [True, False, False, True]


def test_the_timeline_indents_what_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline()
    timeline.stage("canary")
    timeline.tell("gate", "HOLD " + "reason " * 30)
    heading, first, *others = capsys.readouterr().out.strip().splitlines()
    assert heading == "CANARY"
    assert re.match(r" {3}0:0\d  gate  +HOLD reason", first)
    assert others
    assert all(line.startswith(" " * 24 + "reason") for line in others)


def test_the_playbook_has_the_steps_of_the_default_one() -> None:
    plan = read_playbook(Path(transactions.__file__).with_name("playbook.yaml"))
    assert [(s.stage, s.rollout) for s in plan.steps] == [
        (s.stage, s.rollout) for s in DEFAULT_STEPS
    ]


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(SystemExit, match="holds something else than a rehearsal"):
        main(["--folder", str(tmp_path)])
    assert (tmp_path / "precious").exists()


def answered(number: int, side: str, *, alarm: bool, status: int = 200) -> Reply:
    return Reply(f"request-{number}", {}, status, side, {"alarm": alarm}, 0.0, 0.1)


def traffic_of(*, fraud: tuple[bool, ...], stopped: tuple[bool, ...]) -> Traffic:
    unused: Trained = None  # type: ignore[assignment]  # not asked for here
    return Traffic(({},) * len(fraud), fraud, stopped, (0.0,) * len(fraud), "made", unused)


def test_shops_complain_of_what_v1_would_have_stopped_and_of_nothing_that_both_do(
    tmp_path: Path,
) -> None:
    """Where both sides decide alike, what happens does not depend on who answered."""
    traffic = traffic_of(fraud=(False,) * 4, stopped=(True, True, False, False))
    with SteadyLoad("http://127.0.0.1:9", lambda number: number, rate=0.1) as load:
        load.end()
        load.replies[:] = [answered(n, "candidate", alarm=n in (0, 2)) for n in range(4)]
        downstream = Downstream(tmp_path, traffic, load)
        downstream.shops_complain = True
        with downstream:
            pass
    assert (tmp_path / "outcomes.csv").read_text().split() == [
        "request_id,metric,value",
        "request-0,review,1",
        "request-2,review,1",
    ]
    labels = (tmp_path / "labels.csv").read_text().split()
    assert labels == ["request_id,label", *(f"request-{number},0" for number in range(4))]
    assert downstream.complaints == 1
    tracked = read_all(tmp_path / "pairs").tracked.frame
    assert tracked[["request_id", "metric"]].to_numpy().tolist() == [["request-1", "complaint"]]


def test_what_was_answered_is_still_known_when_everything_is_stopped_twice(tmp_path: Path) -> None:
    replies = [
        answered(0, "primary", alarm=False),
        answered(1, "primary", alarm=False, status=503),
        answered(2, "primary", alarm=False),
    ]
    with SteadyLoad("http://127.0.0.1:9", lambda number: number, rate=0.1) as load:
        load.replies[:0] = replies
    serving = Serving("nothing:Nothing", environment={}, log=tmp_path / "log")
    unused: Any = None
    traffic = traffic_of(fraud=(False,), stopped=(False,))
    with Downstream(tmp_path, traffic, load) as downstream:
        scene = Scenery(
            tmp_path, unused, unused, unused, serving, load, downstream, unused, unused, None
        )
        scene.stop()
        scene.stop()
    PairFile(tmp_path / "pairs").pair(changes={attributes.REQUEST_ID: "request-0"})
    assert scene.replies[:3] == replies
    assert len(scene.replies) < 5
    assert scene.lost() == 1


def test_what_an_autopilot_wrote_before_it_ended_is_read(tmp_path: Path) -> None:
    """On a busy machine it is done before anybody looks: the act was taken for a broken promise."""
    log = tmp_path / "autopilot.log"
    commands = Commands(tmp_path, {"UNLEASH_URL": ""})
    with Pilot(commands, log, Timeline()) as pilot:  # ends at once: there is no server
        assert eventually(lambda: pilot._process.poll() is not None, 60)
        assert pilot.until("Missing option", within=60) is not None
        assert pilot.until("Missing option", within=60) is None
