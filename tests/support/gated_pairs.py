"""Pairs and a playbook on which the gate says ADVANCE, and one verdict held against another."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from click.testing import CliRunner

from comparison.cli.gate import gate
from comparison.engines.engine_urls import shown_url
from flags.export import attributes
from tests.support.pair_files import BEGIN, FLAG, PairFile, Scored

PAIRS = 3_000

PLAYBOOK = f"""
flag: {FLAG}
label_cut_off: 0s
gate:
  advance: {{failure_rate: 0.005, fallback_rate: 0.05}}
  rollback: {{fallback_rate: 0.1, alarm_ratio_now: 2}}
steps:
  - {{stage: shadow, rollout: 0, hold: 1s, min_pairs: 10}}
  - {{stage: canary, rollout: 10, hold: 10s, min_pairs: 1000, min_labels: 0}}
  - {{stage: ramp, rollout: 50, hold: 1s, min_pairs: 10, min_labels: 0}}
"""


@dataclass(frozen=True, slots=True)
class GatedPairs:
    """Name the folder of pairs, its playbook, and when its last pair ended."""

    folder: Path
    playbook: Path
    end: datetime


def write_gated_pairs(folder: Path, pairs: int = PAIRS) -> GatedPairs:
    """Write pairs that agree: a sixth at the shadow step, the others at 10 %, by two workers."""
    files = [PairFile(folder / "pairs", worker) for worker in ("worker-1", "worker-2")]
    for file in files:
        file.start()
    for number in range(pairs):
        rollout = 0 if number < pairs // 6 else 10
        alarm = number % 10 == 0
        scores = [0.9 if alarm else 0.1 + number % 7 / 100 for _ in range(2)]
        scores[1] += number % 3 / 100
        files[number % 2].pair(
            Scored(scores[0], model="fraud:1", duration=0.002 + number % 11 / 10_000),
            Scored(scores[1], model="fraud:2", duration=0.002 + number % 13 / 10_000),
            active="candidate" if rollout and number % 10 == 5 else "primary",
            segments={"channel": ("web", "app")[number // 10 % 2]},
            features={"amount": number % 97 / 7},
            changes={attributes.ROLLOUT: float(rollout)},
        )
    for file in files:
        file.stop()
    (folder / "playbook.yaml").write_text(PLAYBOOK, encoding="utf-8")
    end = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(milliseconds=5 * pairs + 100)
    return GatedPairs(folder / "pairs", folder / "playbook.yaml", end)


def verdict(pairs: GatedPairs, place: str | Path, *more: str) -> bytes:
    """Return what `gate --json -` prints of a place."""
    options = ["--playbook", str(pairs.playbook), "--until", pairs.end.isoformat(), "--json", "-"]
    found = CliRunner().invoke(gate, [str(place), *options, *more], catch_exceptions=False)
    assert found.exit_code in (0, 10, 20), found.output
    return found.stdout_bytes


def assert_same_verdict(pairs: GatedPairs, place: str, folder: Path, *more: str) -> None:
    """Hold the verdict on a place against that on a folder, byte by byte but for their names."""
    here = verdict(pairs, folder, *more).replace(orjson.dumps(str(folder)), b'"here"')
    assert b'"decision": "ADVANCE"' in here
    assert b'"source": "here"' in here
    name = shown_url(place) if "://" in place else place
    there = verdict(pairs, place, *more).replace(orjson.dumps(name), b'"here"')
    assert there == here
