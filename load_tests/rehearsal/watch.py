"""The monitoring beside the gate: a real Prometheus and Alertmanager, and a message receiver."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.message_receiver import Receiver
from tests.support.prometheus import (
    Exporter,
    are_there,
    running_alertmanager,
    running_prometheus,
    scraping,
)

QUEUE: Final = "review_queue_length"
SHORT, FULL, OVERFLOWING = 20.0, 150.0, 600.0
"""Payments in the queue."""

_PLAYBOOK: Final = f"""
# Operational alarms, and the receiver of messages.
alarms:
  review_queue:
    prometheus: sum({QUEUE})
    hold: {{above: 100}}
    rollback: {{above: 500}}
    lasting: 4s
  pages:
    alertmanager: [severity=page, service=fraud]
notify:
  urls: ["${{RECEIVER}}"]
  max_per_hour: 100
"""

_RULE: Final = {
    "alert": "ReviewQueueFull",
    "expr": f"{QUEUE} > 100",
    "labels": {"severity": "page", "service": "fraud"},
}


@dataclass(frozen=True, slots=True)
class Watch:
    """The monitored review queue, and the receiver of messages."""

    exporter: Exporter
    receiver: Receiver
    variables: Mapping[str, str]
    """Variables for the operator's environment."""

    def fill_queue(self, length: float) -> None:
        """Set the length of the review queue."""
        self.exporter.series[QUEUE] = length

    def messages(self, words: str) -> list[str]:
        """Return the received messages that contain `words`, each as one line."""
        taken = (f"{each['title']}: {each['message']}" for each in self.receiver.taken)
        return [text.replace("\n", "; ") for text in taken if words in text]


@contextmanager
def watching(folder: Path) -> Iterator[Watch | None]:
    """Start both servers and add them to the playbook; yield None if they are not installed."""
    if not are_there():
        yield None
        return
    with ExitStack() as stack:
        exporter, receiver = Exporter(), Receiver()
        exporter.series[QUEUE] = SHORT
        stack.enter_context(exporter)
        stack.enter_context(receiver)
        alertmanager = stack.enter_context(running_alertmanager(folder))
        configuration = _configuration(folder, exporter.port, alertmanager)
        prometheus = stack.enter_context(running_prometheus(folder, configuration))
        with (folder / "playbook.yaml").open("a") as playbook:
            playbook.write(_PLAYBOOK)
        variables = {
            "PROMETHEUS_URL": prometheus,
            "ALERTMANAGER_URL": alertmanager,
            "RECEIVER": receiver.url,
        }
        yield Watch(exporter, receiver, variables)


def _configuration(folder: Path, port: int, alertmanager: str) -> dict[str, Any]:
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "fraud", "rules": [_RULE]}]}))
    target = {"static_configs": [{"targets": [alertmanager.removeprefix("http://")]}]}
    return scraping(port, every="1s", rule_files=[str(rules)], alerting={"alertmanagers": [target]})
