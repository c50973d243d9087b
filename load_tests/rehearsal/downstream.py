"""The outcomes of answers: payments are reviewed, fraud is missed, customers complain."""

import csv
import io
import random
import threading
from pathlib import Path
from typing import Final, Self

from flags.export.outcomes import OutcomeTracking
from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans
from flags.files import replace_file
from load_tests.rehearsal.transactions import Traffic
from load_tests.steady_load import Reply, SteadyLoad
from service.downstream import outcomes_of

OUTCOMES: Final = "outcomes.csv"
"""The file of the outcomes `review` and `missed_fraud`."""

LABELS: Final = "labels.csv"
"""The file of the labels: fraud or not."""

COMPLAINT: Final = "complaint"
"""The outcome that an application tracks."""

COMPLAINT_RATE: Final = 0.006
"""Share of the requests whose customers complain, whichever side answers."""

_PAUSE: Final = 1.0


class _Table:
    """A growing CSV file that is replaced atomically, so that no reader sees half of it."""

    def __init__(self, path: Path, *heading: str) -> None:
        self._path = path
        self._text = io.StringIO()
        self._writer = csv.writer(self._text)
        self.add(*heading)

    def add(self, *row: object) -> None:
        self._writer.writerow(row)

    def write(self) -> None:
        replace_file(self._path, self._text.getvalue().encode())


class Downstream:
    """A thread that derives outcomes from the answers: it tracks complaints and writes two files.

    While `shops_complain`, there is also a complaint for each payment that v1 would have stopped
    and v2 let pass; never for a payment on which both decide the same.
    """

    def __init__(self, folder: Path, traffic: Traffic, load: SteadyLoad) -> None:
        self.shops_complain = False
        self.complaints = 0
        self._outcomes = _Table(folder / OUTCOMES, "request_id", "metric", "value")
        self._labels = _Table(folder / LABELS, "request_id", "label")
        self._traffic = traffic
        self._load = load
        self._spans = PairSpans.to_folder(
            folder / "pairs", FileLimits(), service="shops", version=None
        )
        self._tracking = OutcomeTracking(self._spans)
        self._seen = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="downstream")

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop the thread, and write the tracked outcomes."""
        self._ending.set()
        self._thread.join()
        self._spans.close()

    def _run(self) -> None:
        while not self._ending.wait(_PAUSE):
            self._look()

    def _look(self) -> None:
        """Write the outcomes of the answers since the last call."""
        replies = self._load.replies[self._seen :]
        self._seen += len(replies)
        for reply in replies:
            if reply.status != 200:
                continue
            number = int(reply.request_id.removeprefix("request-"))
            self._labels.add(reply.request_id, int(self._traffic.is_fraud(number)))
            for metric in outcomes_of(reply.got, fraud=self._traffic.is_fraud(number)):
                self._outcomes.add(reply.request_id, metric, 1)
            if self._complains(number, reply):
                self.complaints += 1
                self._tracking.track(reply.request_id, COMPLAINT)
        self._outcomes.write()
        self._labels.write()

    def _complains(self, number: int, reply: Reply) -> bool:
        if random.Random(number).random() < COMPLAINT_RATE:
            return True
        lets_pass = self._traffic.is_stopped(number) and not reply.got["alarm"]
        return self.shops_complain and lets_pass
