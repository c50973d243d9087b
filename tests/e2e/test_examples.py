"""Train each example, serve it, and migrate it by its flag, as examples/README.md says."""

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner

from comparison.pairs.reader import Pairs, read_pairs
from comparison.pairs.sides import SIDES
from comparison.summary.figures import Summary
from comparison.summary.in_memory import summarise
from flags.cli import migration
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

EXAMPLES = ROOT / "examples"
ASKED = 40
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Rows this small are not worth the threads that would wait for one another."""


@dataclass(frozen=True)
class Example:
    """One example: how it is asked, and which numbers are compared of an answer."""

    folder: str
    service: str
    flag: str
    route: str
    body: Callable[[int], dict[str, Any]]
    """The body of a request, by its number."""
    scores: Callable[[httpx.Response], dict[str, Any]]
    """The compared values that an answer holds, the first output first."""
    needs: tuple[str, ...] = ("sklearn",)
    recorded: str = "score"
    """What is recorded of an output: one that is not a score has columns that carry its name."""

    def column(self, side: str, output: str, position: int) -> str:
        """Return the column of an output, which is at a position among all."""
        named = position or self.recorded != "score"
        return f"{side}_{self.recorded}" + (f".{output}" if named else "")

    @property
    def target(self) -> str:
        """Return what `bentoml serve` gets."""
        return f"examples.{self.folder}.service:{self.service}"


def tumour(number: int) -> list[float]:
    """Return the measurements of a tumour that no model was trained with."""
    from sklearn.datasets import load_breast_cancer

    row: list[float] = load_breast_cancer().data[426 + number].tolist()
    return row


def three_measurements(number: int) -> dict[str, Any]:
    row = tumour(number)
    return {"radius": row[0], "texture": row[1], "concavity": row[6]}


def patient(number: int) -> dict[str, Any]:
    from sklearn.datasets import load_diabetes

    age, _sex, bmi, pressure, *_ = load_diabetes(scaled=False).data[331 + number].tolist()
    return {"age": age, "bmi": bmi, "pressure": pressure}


def digits() -> tuple[list[list[float]], list[str]]:
    """Return the images that no model was trained with, and what they show."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    _, images, _, shown = train_test_split(
        *load_digits(return_X_y=True), test_size=0.3, random_state=0
    )
    return images.tolist(), [str(each) for each in shown]


def progressions() -> list[float]:
    """Return what became of the patients whom no model was trained with."""
    from sklearn.datasets import load_diabetes

    found: list[float] = load_diabetes().target[331:].tolist()
    return found


def shown(items: list[dict[str, Any]]) -> str:
    return "|" + "".join(f"{item['id']}|" for item in items)


def customers() -> tuple[list[list[int]], list[str]]:
    """Return what customers whom no model knows have bought, and what they buy later."""
    from examples.recommender.train import purchases

    before, later = (bought[400:] for bought in purchases())
    wanted = ["|".join(str(item) for item in row.nonzero()[0]) for row in later]
    return [row.nonzero()[0].tolist() for row in before], wanted


def malignant(response: httpx.Response) -> dict[str, float]:
    return {"malignant": response.json()["malignant"]}


EXAMPLE = {
    example.folder: example
    for example in (
        Example("sklearn_models", "Tumours", "tumours-v2", "/judge", three_measurements, malignant),
        Example(
            "xgboost_model",
            "Screening",
            "screening-v2",
            "/screen",
            lambda number: {"cells": tumour(number)},
            malignant,
            needs=("sklearn", "xgboost"),
        ),
        Example(
            "lightgbm_model",
            "Biopsies",
            "biopsies-v2",
            "/predict",
            lambda number: {"data": [tumour(number)], "kwargs": {}},
            lambda response: {"malignant": response.json()[0]},
            needs=("sklearn", "lightgbm"),
        ),
        Example(
            "mlflow_model",
            "Referrals",
            "referrals-v2",
            "/predict",
            lambda number: {"input_data": [tumour(number)]},
            lambda response: {"malignant": response.json()[0][1]},
            needs=("sklearn", "mlflow"),
        ),
        Example(
            "legacy_runner",
            "Triage",
            "triage-v2",
            "/triage",
            lambda number: {"rows": [tumour(number), tumour(number + 60)]},
            lambda response: {"likeliest": max(response.json())},
        ),
        Example(
            "regression",
            "Progression",
            "progression-v2",
            "/predict",
            patient,
            lambda response: {"progression": float(response.text)},
        ),
        Example(
            "multi_class",
            "Digits",
            "digits-v2",
            "/read",
            lambda number: {"pixels": digits()[0][number]},
            lambda response: {"digit": response.json()["digit"]},
            recorded="class",
        ),
        Example(
            "recommender",
            "Shop",
            "shop-v2",
            "/recommend",
            lambda number: {"bought": customers()[0][number]},
            lambda response: {"items": shown(response.json()["items"])},
            recorded="ranking",
        ),
        Example(
            "streaming_text",
            "Writer",
            "writer-v2",
            "/write",
            lambda number: {"seed": number},
            lambda response: {
                "words": response.text.count("data:"),
                "sentences": response.text.count(".\n"),
            },
            needs=(),
        ),
    )
}


TWO_CLASSES = [r"Alarms: \w+", r"alarm ratio [\d.]+", r"agreement [\d.]+ %"]
SAID: dict[str, list[str]] = {
    "sklearn_models": [*TWO_CLASSES, "tumours-v1:", "tumours-v2:"],
    "xgboost_model": [*TWO_CLASSES, "screening-sklearn:", "screening-xgboost:"],
    "lightgbm_model": [*TWO_CLASSES, "biopsies-v1:", "biopsies-v2:"],
    "mlflow_model": [*TWO_CLASSES, "referrals-v1:", "referrals-v2:"],
    "legacy_runner": [*TWO_CLASSES, "triage-v2:"],
    "regression": [
        "Scores: progression",
        r"progression: the candidate's is [\d.]+ (higher|lower) on average \(95 % CI",
        "no threshold says from where on it matters: HOLD",
    ],
    "multi_class": [
        "Class: digit",
        r"both sides predict the same in [\d.]+ % of \d+ pairs, 10 classes",
    ],
    "recommender": [
        "Ranking: items",
        r"items in common [\d.]+ %",
        r"group shoes [\d.]+ % [\d.]+ %",
        "items: both sides give the same ranking in",
    ],
    "streaming_text": [
        r"Medians of each output",
        r"sentences: the candidate's is",
        r"words: the candidate's is",
    ],
}
"""What `bentoml migration compare` must say of each."""


class Running:
    """A served example, its flag and its pairs."""

    def __init__(self, example: Example, url: str, folder: Path) -> None:
        self.example = example
        self.client = httpx.Client(base_url=url, timeout=60)
        self.folder = folder
        self.asked: Counter[str] = Counter()
        """How often was asked under each request id."""
        self._probes = count()

    def ask(self, number: int, name: str = "") -> httpx.Response:
        """Ask under the request id that goes with the number."""
        named = {"X-Request-Id": f"{self.example.flag}-{name}{number}"}
        response = self.client.post(
            self.example.route, json=self.example.body(number), headers=named
        )
        assert response.status_code == 200, response.text
        self.asked[named["X-Request-Id"]] += 1
        return response

    def flip(self, *options: str) -> None:
        """Change the flag as a person would."""
        run("file", str(self.folder / "flags.json"), "--flag", self.example.flag, *options)

    def follows(self, side: str) -> None:
        """Wait until ten answers in a row come from `side`."""

        def all_by_side() -> bool:
            answers = [self.ask(number, f"probe{next(self._probes)}-") for number in range(10)]
            return {answer.headers["X-Model-Side"] for answer in answers} == {side}

        assert eventually(all_by_side, 60)

    def pairs(self) -> Pairs:
        """Return the pairs that are on disk."""
        return read_pairs(self.folder / "pairs")

    def pairs_of(self, answers: dict[str, httpx.Response]) -> pd.DataFrame:
        """Return a pair of each answer by request id, once all of them are on disk."""
        wanted = Counter({request_id: self.asked[request_id] for request_id in answers})
        found = pd.DataFrame()

        def are_there() -> bool:
            nonlocal found
            frame = self.pairs().frame
            found = frame[frame["request_id"].isin(answers)]
            time.sleep(0.1)
            return len(found) >= wanted.total()

        assert eventually(are_there, 60)
        assert Counter(found["request_id"]) == wanted
        return found.drop_duplicates("request_id").set_index("request_id")

    def summary(self) -> Summary:
        """Return the figures that `compare` prints."""
        return summarise(self.pairs())

    def compare(self) -> str:
        """Return what `bentoml migration compare` prints."""
        return run("compare", str(self.folder / "pairs"))


def run(*arguments: str) -> str:
    """Run `bentoml migration` with these arguments and return what it prints."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(migration, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BentoML home with the models of every example whose libraries are here."""
    folder = tmp_path_factory.mktemp("store")
    trainable = [
        each.folder
        for each in EXAMPLE.values()
        if (EXAMPLES / each.folder / "train.py").exists() and not missing(each)
    ]
    program = "\n".join(
        ["import importlib"]
        + [f"importlib.import_module('examples.{each}.train').main()" for each in trainable]
    )
    named = {**ONE_THREAD, "PYTHONPATH": str(xgboost_by_its_name(folder))}
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(folder / "bentoml", **named),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder / "bentoml"


def missing(example: Example) -> list[str]:
    return [name for name in example.needs if importlib.util.find_spec(name) is None]


def xgboost_by_its_name(folder: Path) -> Path:
    """Return a folder for the Python path in which xgboost-cpu is called xgboost.

    BentoML asks for the version of the distribution `xgboost` when it saves a model. The tests use
    its smaller build without GPUs, whose distribution has another name.
    """
    try:
        version = importlib.metadata.version("xgboost-cpu")
    except importlib.metadata.PackageNotFoundError:
        return folder
    about = folder / f"xgboost-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: xgboost\nVersion: {version}\n", encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module", params=EXAMPLE)
def running(
    request: pytest.FixtureRequest, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Serve an example at 50 %."""
    example = EXAMPLE[request.param]
    if lacking := missing(example):
        pytest.skip(f"{', '.join(lacking)} is not installed (dependency group `examples`)")
    folder = tmp_path_factory.mktemp(example.folder)
    run("file", str(folder / "flags.json"), "--flag", example.flag, "--rollout", "50")
    settings = environment(
        store,
        FLAGS_FILE=str(folder / "flags.json"),
        PAIRS_DIR=str(folder / "pairs"),
        CANDIDATE_TIMEOUT="60",  # none of these tests is about speed
        SHADOW_TIMEOUT="60",
        **ONE_THREAD,
    )
    log = folder / "service.log"
    with Serving(
        example.target, environment=settings, log=log, folder=ROOT, start_within=180
    ) as serving:
        running = Running(example, serving.url, folder)
        with running.client:
            yield running


@pytest.fixture(scope="module")
def answers(running: Running) -> dict[str, httpx.Response]:
    """Return the answers to requests at 50 %, by request id."""
    found = (running.ask(number) for number in range(ASKED))
    return {answer.headers["X-Request-Id"]: answer for answer in found}


def side_of(answer: httpx.Response) -> str:
    return answer.headers["X-Model-Side"]


def test_both_sides_answer_and_the_same_request_gets_the_same_answer(
    running: Running, answers: dict[str, httpx.Response]
) -> None:
    assert {side_of(answer) for answer in answers.values()} == {"primary", "candidate"}
    for number, answer in enumerate([*answers.values()][:10]):
        again = running.ask(number)
        assert side_of(again) == side_of(answer)
        assert again.content == answer.content
        assert again.headers["X-Model-Tag"] == answer.headers["X-Model-Tag"]


def test_each_answer_has_its_pair_with_the_scores_of_both_sides(
    running: Running, answers: dict[str, httpx.Response]
) -> None:
    pairs = running.pairs_of(answers)
    assert set(pairs["primary_status"]) == set(pairs["candidate_status"]) == {"ok"}
    assert not pairs["fallback"].any()
    for request_id, answer in answers.items():
        pair, side = pairs.loc[request_id], side_of(answer)
        assert (pair["active"], pair["served"]) == (side, side)
        assert pair[f"{side}_model"] == answer.headers["X-Model-Tag"]
        for position, (output, score) in enumerate(running.example.scores(answer).items()):
            recorded = pair[running.example.column(side, output, position)]
            assert recorded == (score if isinstance(score, str) else pytest.approx(score, rel=1e-9))
    for position, output in enumerate(running.example.scores(answer)):
        columns = [running.example.column(side, output, position) for side in SIDES]
        scores = pairs[columns].astype(float if running.example.recorded == "score" else str)
        assert scores.notna().all(axis=None)
        # Two models that always agree would show nothing.
        assert scores.nunique(axis=1).max() == 2 or output == "words"


def test_compare_says_what_is_sensible_of_this_kind(
    running: Running, answers: dict[str, httpx.Response]
) -> None:
    running.pairs_of(answers)
    printed = " ".join(running.compare().split())
    for words in SAID[running.example.folder]:
        assert re.search(words, printed), f"{words} is not in {printed}"
    summary = running.summary()
    assert summary.paired == summary.pairs >= ASKED
    assert summary.accounting.completeness == 1


LABELS: dict[str, Callable[[], list[Any]]] = {
    "regression": progressions,
    "multi_class": lambda: digits()[1],
    "recommender": lambda: customers()[1],
}
"""What the asked requests turned out to be, by their numbers."""


def test_the_gate_judges_what_has_labels(
    running: Running, answers: dict[str, httpx.Response], tmp_path: Path
) -> None:
    if running.example.folder not in LABELS:
        pytest.skip("no labels")
    from sklearn import metrics

    asked = pd.Series(LABELS[running.example.folder]()[:ASKED], index=[*answers], name="label")
    asked.rename_axis("request_id").to_csv(tmp_path / "labels.csv")
    pairs = running.pairs_of(answers).loc[asked.index]
    [output] = running.example.scores(next(iter(answers.values())))
    said = {side: pairs[running.example.column(side, output, 0)] for side in SIDES}
    plan = {
        "flag": running.example.flag,
        "label_cut_off": "0s",
        "steps": [
            {"stage": "canary", "rollout": 50, "hold": "1h", "min_pairs": 10, "min_labels": 1}
        ],
    }
    (tmp_path / "playbook.json").write_text(json.dumps(plan))
    arguments = ["gate", str(running.folder / "pairs"), "--labels", str(tmp_path / "labels.csv")]
    arguments += ["--playbook", str(tmp_path / "playbook.json"), "--json", "-"]
    result = CliRunner(env={"COLUMNS": "120"}).invoke(migration, arguments)
    document = json.loads(result.output)
    assert document["decision"] == "HOLD"  # 40 labels are not enough
    [found] = document["evidence"]["answers"]
    for side in SIDES:
        if running.example.recorded == "class":
            right = metrics.accuracy_score(asked, said[side].astype(str), normalize=False)
            assert found[side]["accuracy"] == {"count": right, "total": ASKED}
        elif running.example.recorded == "ranking":
            gains = [
                [item in label.split("|") for item in ids.strip("|").split("|")]
                for ids, label in zip(said[side], asked, strict=True)
            ]
            assert found[side]["found"] == {"count": sum(map(any, gains)), "total": ASKED}
        else:
            error = metrics.mean_absolute_error(asked, said[side])
            assert found[side]["mean_absolute_error"] == pytest.approx(error, rel=1e-9)


def test_one_flip_rolls_back(running: Running, answers: dict[str, httpx.Response]) -> None:
    running.flip("--off")
    running.follows("primary")
    after = {
        answer.headers["X-Request-Id"]: answer
        for answer in (running.ask(number, "after-") for number in range(10))
    }
    assert {side_of(answer) for answer in after.values()} == {"primary"}
    pairs = running.pairs_of(after)
    assert set(pairs["served"]) == {"primary"}
    assert set(pairs["candidate_status"]) == {"ok"}  # the shadow is scored all the same
