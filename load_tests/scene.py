"""The scene of one run: a real service in a folder of its own, with access for injections."""

import json
from collections import Counter
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Final

import psutil
import requests
from prometheus_client.parser import text_string_to_metric_families

from flags.errors import ServiceUnreachableError
from flags.monitoring import shipping_metrics
from flags.monitoring.metrics import DROPPED
from flags.operate.watch import running_workers
from flags.unleash.admin import seed
from flags.unleash.flags_file import write_flags_file
from flags.unleash.local import LocalUnleash
from load_tests.steady_load import SteadyLoad
from load_tests.verdict import FLAG
from service.serving import Serving
from tests.support.faulty_proxy import FaultyProxy
from tests.support.fraud_store import environment
from tests.support.otlp_proxy import OtlpProxy
from tests.support.otlp_server import OtlpReceiver, installed_packages
from tests.support.paths import ROOT

ROLLOUT: Final = 50
"""Percent of the requests that the candidate answers."""

MODULE: Final = "load_tests.faulty_service"
TARGET: Final = f"{MODULE}:Verdicts"


class Programs:
    """The real programs that several runs share, each started at its first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    @cached_property
    def receiver(self) -> OtlpReceiver:
        """An OTLP receiver."""
        return self._stack.enter_context(OtlpReceiver(self._made("otlp"), installed_packages()))

    @cached_property
    def unleash(self) -> LocalUnleash:
        """An Unleash whose flag has the rollout ROLLOUT."""
        unleash = self._stack.enter_context(LocalUnleash(self._made("unleash"), port=0))
        seed(unleash.admin, FLAG)
        unleash.admin.set_rollout(FLAG, ROLLOUT)
        return unleash

    def close(self) -> None:
        """Stop the started programs."""
        self._stack.close()

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder


class Scene:
    """A service, its load, and everything that injections change."""

    def __init__(self, folder: Path, programs: Programs, placement: str, seconds: float) -> None:
        self.programs = programs
        self.seconds = seconds
        """Duration of the fault."""
        self.record = folder / "record"
        """Folder of the pair files, including those that a fault has moved."""
        self.pairs = self.record / "pairs"
        self.flags = folder / "flags.json"
        self.settings = {
            "PLACEMENT": placement,
            "API_WORKERS": "2",
            "FLAGS_FILE": str(self.flags),
            "PAIRS_DIR": str(self.pairs),
            "FAULTS_FOLDER": str(folder),
        }
        self.proxy: OtlpProxy | None = None
        """The proxy in front of the receiver, if the run ships pairs through it."""
        self.candidate: Serving | None = None
        """The candidate's server, if the candidate is a deployment of its own."""
        self.candidate_proxy: FaultyProxy | None = None
        """The proxy in front of the candidate's server, if there is one."""
        self.load: SteadyLoad
        self._folder = folder
        self.pairs.mkdir(parents=True)
        write_flags_file(self.flags, FLAG, ROLLOUT)

    @cached_property
    def serving(self) -> Serving:
        """The service, with the settings at the first use of this property."""
        return Serving(
            TARGET,
            environment=environment(self._folder / "bentoml", **self.settings),
            log=self._folder / "service.log",
            folder=ROOT,
        )

    def remote(self, service: str, like: Serving | None = None) -> Serving:
        """Return a server of `service`, not started; at the address of `like`, if given."""
        server = Serving(
            f"{MODULE}:{service}",
            environment=environment(self._folder / f"bentoml-{service}", **self.settings),
            log=self._folder / f"{service}.log",
            folder=ROOT,
        )
        if like is not None:
            server.port, server.url = like.port, like.url
        return server

    @property
    def log(self) -> str:
        """The log of the service."""
        return self.serving.log.read_text(errors="replace")

    def tell(self, side: str, word: str | None) -> None:
        """Let the models of `side` show a fault; None: no fault."""
        temporary = self._folder / "told.tmp"
        temporary.write_text(json.dumps({side: word}))
        temporary.replace(self._folder / "told.json")

    def processes(self, side: str) -> list[int]:
        """Return the ids of the living processes that have loaded the model of `side`."""
        found = self._folder.glob(f"processes/{side}-*")
        ids = (int(path.name.rpartition("-")[2]) for path in found)
        return [pid for pid in ids if _is_alive(pid)]

    def workers(self) -> list[int]:
        """Return the process ids of the workers that answer requests."""
        try:
            return [worker.pid for worker in running_workers(self.serving.url).workers]
        except ServiceUnreachableError:  # the worker has just been killed
            return []

    def counted(self) -> Counter[str]:
        """Return the counters of drops (`drop enospc`) and shipping (`retry timeout`)."""
        words = {DROPPED: "drop", shipping_metrics.RETRIES: "retry"}
        words[shipping_metrics.REJECTED] = "reject"
        text = requests.get(f"{self.serving.url}/metrics", timeout=20).text
        return Counter(
            {
                f"{words[sample.name]} {sample.labels['reason']}": int(sample.value)
                for family in text_string_to_metric_families(text)
                for sample in family.samples
                if sample.name in words and sample.value
            }
        )


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
