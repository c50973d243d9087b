"""Windows of numbers, classes, rankings and texts, judged: what a page of them has to show."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.judgement.judgement import Judgement
from flags import Text
from flags.gate.evidence import Evidence
from flags.playbook.model import Playbook
from tests.support.answer_pairs import answer_pairs, judged, label_file
from tests.support.pair_files import BEGIN, FLAG
from tests.support.text_pairs import CountedTexts

SIZE = 2_000
TEXTS = 400
Judged = tuple[Evidence, Judgement]


def answer_windows(folder: Path) -> dict[str, Judged]:
    """Return each kind's window by its name."""
    return {
        "numbers": _numbers(folder),
        "classes": _classes(folder),
        "rankings": _rankings(folder),
        "texts": _texts(folder),
    }


def _segments(random: np.random.Generator) -> dict[str, Any]:
    regions = ["Europe", "North America", "a region with a long name and no break"]
    return {"segment.region": random.choice(regions, SIZE)}


def _numbers(folder: Path) -> Judged:
    """Prices, of which the candidate is the better judge."""
    random = np.random.default_rng(1)
    place, income = random.normal(0, 1, SIZE), random.normal(0, 1, SIZE)
    price = np.exp(0.5 * place + 0.4 * income + random.normal(0, 0.25, SIZE)) * 250_000
    sides = {
        "primary_score.price": np.exp(0.5 * place + 0.1) * 250_000,
        "candidate_score.price": np.exp(0.5 * place + 0.4 * income) * 250_000,
    }
    labels = label_file(folder / "prices.csv", price)
    return judged(answer_pairs(sides, rollout=10, **_segments(random)), labels)


def _classes(folder: Path) -> Judged:
    """Forty classes with names of any length, of which the candidate confuses more."""
    random = np.random.default_rng(2)
    names = np.array([f"department {n} of complaints and returns" for n in range(39)] + ["other"])
    truth = random.integers(0, len(names), SIZE)
    said = {
        side: names[np.where(random.random(SIZE) < right, truth, (truth + 1) % len(names))]
        for side, right in (("primary", 0.9), ("candidate", 0.8))
    }
    values = {f"{side}_class.department": said[side] for side in said}
    labels = label_file(folder / "departments.csv", names[truth])
    return judged(answer_pairs(values, rollout=10, **_segments(random)), labels)


def _rankings(folder: Path) -> Judged:
    """Lists of ten items of forty; the candidate knows less of what is relevant."""
    random = np.random.default_rng(3)
    grades = np.maximum(random.integers(0, 14, (SIZE, 40)) - 10, 0)
    values = {}
    for side, noise in (("primary", 1.0), ("candidate", 2.0)):
        lists = np.argsort(-(grades + random.normal(0, noise, grades.shape)), axis=1)[:, :10]
        values[f"{side}_ranking.items"] = ["|" + "".join(f"{i}|" for i in ids) for ids in lists]
    relevant = ["|".join(f"{item}={row[item]}" for item in np.flatnonzero(row)) for row in grades]
    labels = label_file(folder / "relevant.csv", relevant)
    return judged(answer_pairs(values, rollout=10, **_segments(random)), labels)


def _texts(folder: Path) -> Judged:
    """Answers that are longer and refuse more often, and whose preferences are known."""
    random = np.random.default_rng(4)
    declared = Text("answer", refusal="cannot", formats={"short": r"^.{1,60}$"})
    file = CountedTexts(folder / "texts")
    file.start()
    for number in range(TEXTS):
        primary = "I cannot help." if random.random() < 0.05 else f"It is {number}."
        candidate = "I cannot help." if random.random() < 0.2 else f"It is {number}, I think." * 3
        file.texts(primary, candidate, declared)
    file.stop()
    table = folder / "preferences.csv"
    sides = random.choice(["candidate", "primary", "tie"], TEXTS, p=[0.4, 0.4, 0.2])
    said = [f"worker-1-request-{n + 1},answer,{side}" for n, side in enumerate(sides)]
    table.write_text("\n".join(["request_id,output,preference", *said]))
    step = {"stage": "canary", "rollout": 10, "hold": "1s", "min_pairs": 100, "min_labels": 1}
    return judge(
        FlagPairs.at(folder / "texts", FLAG),
        Playbook.model_validate({"flag": FLAG, "steps": [step], "warm_up": 0}),
        now=datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(milliseconds=10 * TEXTS + 100),
        window=TimeWindow(),
        additions=Additions.read(None, None, preferences=table),
    )
