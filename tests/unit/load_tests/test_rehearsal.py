"""What the rehearsal is made of: its traffic, its timeline, its playbook."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flags.export import attributes
from flags.playbook.file import read_playbook
from flags.playbook.model import DEFAULT_STEPS
from load_tests.rehearsal import transactions
from load_tests.rehearsal.__main__ import main
from load_tests.rehearsal.stage import Scenery
from load_tests.rehearsal.timeline import Timeline
from load_tests.rehearsal.transactions import Traffic, thinned
from load_tests.steady_load import Reply, SteadyLoad
from service.serving import Serving
from service.simulator import simulate
from service.training import Trained, feature_rows, production, train
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


def test_traffic_goes_round_and_its_labels_go_with_it() -> None:
    unused: Trained = None  # type: ignore[assignment]  # not asked for here
    traffic = Traffic(({"a": 1}, {"a": 2}, {"a": 3}), (False, True, False), "made", unused)
    assert [traffic.body(number)["a"] for number in range(5)] == [1, 2, 3, 1, 2]
    assert list(traffic.labels(5)) == [(f"request-{n}", int(n % 3 == 1)) for n in range(5)]


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


def test_what_was_answered_is_still_known_when_everything_is_stopped_twice(tmp_path: Path) -> None:
    replies = [
        Reply("request-0", {}, 200, "primary", {}, 0.0, 0.1),
        Reply("request-1", {}, 503, None, {}, 0.0, 0.1),
        Reply("request-2", {}, 200, "primary", {}, 0.0, 0.1),
    ]
    with SteadyLoad("http://127.0.0.1:9", lambda number: number, rate=0.1) as load:
        load.replies[:0] = replies
    serving = Serving("nothing:Nothing", environment={}, log=tmp_path / "log")
    unused: Any = None
    scene = Scenery(tmp_path, unused, unused, unused, serving, load, unused, unused, None)
    scene.stop()
    scene.stop()
    PairFile(tmp_path / "pairs").pair(changes={attributes.REQUEST_ID: "request-0"})
    assert scene.replies[:3] == replies
    assert len(scene.replies) < 5
    assert scene.lost() == 1
