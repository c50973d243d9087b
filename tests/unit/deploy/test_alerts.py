"""What `deploy/` watches is what the workers count."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flags.monitoring import metrics
from flags.monitoring.candidate_metrics import candidate_family
from flags.monitoring.shipping_metrics import shipping_families
from tests.support.paths import ROOT

PROMTOOL = shutil.which(
    "promtool", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)
DEPLOY = ROOT / "deploy"
WATCHERS = ("alerts.yaml", "grafana-dashboard.json")


def exposed() -> dict[str, set[str]]:
    """Return the name of each series on /metrics, with its labels."""
    found: dict[str, set[str]] = {}
    for family in (
        candidate_family(),
        *(
            getattr(families, name)
            for families in (metrics._families(), shipping_families())
            for name in families.__slots__
        ),
    ):
        described = family.describe()[0]
        labels = set(family._labelnames)
        if described.type == "histogram":
            found |= {f"{described.name}_{part}": labels for part in ("sum", "count")}
            found[f"{described.name}_bucket"] = labels | {"le"}
        else:
            found[described.name + ("_total" if described.type == "counter" else "")] = labels
    return found


@pytest.mark.parametrize("file", WATCHERS)
def test_every_metric_and_label_that_is_watched_exists(file: str) -> None:
    text = (DEPLOY / file).read_text().replace('\\"', '"')
    known = exposed()
    used = set(re.findall(r"bentoml_flags_\w+", text))
    assert used
    assert used <= set(known), f"unknown: {sorted(used - set(known))}"
    for name, labels in re.findall(r"(bentoml_flags_\w+)\{([^}]*)\}", text):
        named = set(re.findall(r"(\w+)=", labels))
        assert named <= known[name], f"{name} has no label {named - known[name]}"


def test_the_dashboard_shows_every_metric() -> None:
    text = (DEPLOY / "grafana-dashboard.json").read_text()
    shown = set(re.findall(r"bentoml_flags_\w+", text))
    assert shown == {name for name in exposed() if not name.endswith(("_sum", "_count"))}


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    assert dashboard["uid"] == "bentoml-flags"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool: it is in Debian's package prometheus (make tools)"
)
@pytest.mark.parametrize(
    "arguments", [("check", "rules", "alerts.yaml"), ("test", "rules", "alerts.test.yaml")]
)
def test_promtool_accepts_the_alerts_and_they_fire_when_they_should(
    arguments: tuple[str, ...],
) -> None:
    assert PROMTOOL is not None
    result = subprocess.run(
        [PROMTOOL, *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
