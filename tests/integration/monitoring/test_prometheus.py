"""A real Prometheus scrapes a real service: the dashboard has data, the alerts have what they need.

The server is the one of Debian's package `prometheus` (`make tools`), with the configuration and
the rules of `deploy/`.
"""

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from flags.unleash.flags_file import write_flags_file
from flags.unleash.local.program import Program
from service.serving import Serving, free_port
from tests.support.flagged_service import Load
from tests.support.fraud_store import environment
from tests.support.otlp_proxy import Fault, OtlpProxy
from tests.support.otlp_server import OtlpReceiver
from tests.support.paths import ROOT

PROMETHEUS = shutil.which(
    "prometheus", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROMETHEUS is None, reason="no Prometheus: it is in Debian's package (make tools)"
    ),
]
DEPLOY = ROOT / "deploy"
FLAG = "scores-v2"
PANELS = [
    (panel["title"], target["expr"])
    for panel in json.loads((DEPLOY / "grafana-dashboard.json").read_text())["panels"]
    for target in panel.get("targets", [])
]
ALERTS = [
    (rule["alert"], rule["expr"])
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
BOUND = re.compile(r"\s*>\s*[\d.]+\s*$")
"""What an expression is compared with: without it there is data while nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus, and how many answers the service that it scrapes has given."""

    url: str
    answers: int

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the HTTP API."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """Return the value of each series that an expression yields now."""
        result = self.ask("query", query=expression)["result"]
        return [float(each["value"][1]) for each in result]


@contextmanager
def served(folder: Path, endpoint: str) -> Iterator[Serving]:
    """Serve with two workers that ship their pairs to `endpoint`."""
    write_flags_file(folder / "flags.json", FLAG, 50)
    named = {
        "FLAG": FLAG,
        "FLAGS_FILE": str(folder / "flags.json"),
        "PAIRS_DIR": str(folder / "pairs"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "CANDIDATE_TIMEOUT": "20",
    }
    with Serving(
        "tests.support.services.flagged:Scores",
        environment=environment(folder / "bentoml", **named),
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        yield serving


@contextmanager
def watching(folder: Path, port: int, rules: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that watches the service at `port`."""
    assert PROMETHEUS is not None
    server = Program("prometheus", log=folder / "prometheus.log")
    (folder / "prometheus.yaml").write_text(configuration(port, rules))
    own = free_port()
    server.start(
        [
            PROMETHEUS,
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{own}",
        ],
        environment=os.environ,
    )
    try:
        watched = Prometheus(f"http://127.0.0.1:{own}", 0)
        wait_for(lambda: requests.get(f"{watched.url}/-/ready", timeout=5).status_code == 200)
        yield watched
    finally:
        server.stop()


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory, running_receiver: OtlpReceiver
) -> Iterator[Prometheus]:
    """Return a Prometheus that has watched two workers answer, pair and ship for some seconds."""
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        served(folder, running_receiver.url) as serving,
        watching(folder, serving.port, DEPLOY / "alerts.yaml") as watched,
    ):
        with Load(serving.url) as load:
            wait_for(
                lambda: watched.values(f'rate(bentoml_flags_pairs_total{{flag="{FLAG}"}}[1m])')
            )
            wait_for(lambda: watched.values("sum(bentoml_flags_shipped_spans_total)") > [0.0])
            time.sleep(3)
        assert load.replies
        assert not load.failed()
        yield Prometheus(watched.url, len(load.replies))


def configuration(port: int, rules: Path) -> str:
    """Return `deploy/prometheus.yaml` for a service on this machine, looking every second."""
    config = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
    config["global"] = dict.fromkeys(config["global"], "1s")
    config["rule_files"] = [str(rules)]
    (service,) = (each for each in config["scrape_configs"] if each["job_name"] == "service")
    service["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    config["scrape_configs"] = [service]
    text: str = yaml.safe_dump(config)
    return text


def wait_for(condition: Any, within: float = 60.0) -> None:
    """Wait until `condition` is true and raises no connection error; fail after some seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("title", "expression"), PANELS)
def test_a_panel_of_the_dashboard_has_data(
    prometheus: Prometheus, title: str, expression: str
) -> None:
    asked = BOUND.sub("", expression.replace("$flag", FLAG))
    assert any(map(math.isfinite, prometheus.values(asked))), title


def test_the_dashboard_finds_the_flag(prometheus: Prometheus) -> None:
    (variable,) = (
        each["query"]["query"]
        for each in json.loads((DEPLOY / "grafana-dashboard.json").read_text())["templating"][
            "list"
        ]
        if each["name"] == "flag"
    )
    series, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable).groups()  # type: ignore[union-attr]
    assert prometheus.ask(f"label/{label}/values", **{"match[]": series}) == [FLAG]


@pytest.mark.parametrize(("name", "expression"), ALERTS)
def test_an_alert_that_is_silent_has_data_to_be_silent_about(
    prometheus: Prometheus, name: str, expression: str
) -> None:
    bare = BOUND.sub("", expression)
    assert bare != expression
    assert any(map(math.isfinite, prometheus.values(bare))), name


def test_every_alert_is_evaluated_and_none_fires_while_nothing_is_wrong(
    prometheus: Prometheus,
) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {name for name, _ in ALERTS}
    assert {rule["health"] for rule in rules} == {"ok"}
    assert {rule["state"] for rule in rules} == {"inactive"}


def test_prometheus_counts_every_answer_of_both_workers(prometheus: Prometheus) -> None:
    answers = float(prometheus.answers)
    wait_for(lambda: prometheus.values("sum(bentoml_flags_answers_total)") == [answers])
    assert prometheus.values("sum(bentoml_flags_pairs_total)") == [answers]
    assert prometheus.values("count(bentoml_flags_rollout_ratio == 0.5)") == [2.0]


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.DRIP], ids=lambda fault: fault.name.lower())
def test_the_alert_fires_for_a_receiver_that_is_stuck_and_ends_with_it(
    tmp_path: Path, running_receiver: OtlpReceiver, fault: Fault
) -> None:
    """The alert's five minutes are seconds here."""
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())
    (rule,) = (
        each
        for group in rules["groups"]
        for each in group["rules"]
        if each["alert"] == "PairsNotShipped"
    )
    assert "> 300" in rule["expr"]
    rule |= {"expr": rule["expr"].replace("> 300", "> 5"), "for": "1s"}
    rules["groups"] = [{"name": "stuck", "rules": [rule]}]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))

    def state() -> str:
        (found,) = watched.ask("rules")["groups"][0]["rules"]
        return str(found["state"])

    with (
        OtlpProxy(running_receiver.url) as proxy,
        served(tmp_path, proxy.url) as serving,
        watching(tmp_path, serving.port, tmp_path / "alerts.yaml") as watched,
        Load(serving.url),
    ):
        wait_for(lambda: watched.values("sum(bentoml_flags_shipped_spans_total)") > [0.0])
        assert state() == "inactive"
        proxy.fault = fault
        wait_for(lambda: state() == "firing")
        proxy.fault = Fault.NONE
        wait_for(lambda: state() == "inactive")
