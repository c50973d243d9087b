"""The Unleash client of a flag source, and the reason where it gets nothing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from UnleashClient import UnleashClient
from UnleashClient.constants import FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from flags.unleash.cache import FlagsFile, LastKnownGood, Loaded, without_password

_EXECUTOR: Final = "bentoml-flags"


@dataclass(frozen=True, slots=True)
class FlagFile:
    """Flags in a client-features JSON file on this machine."""

    path: Path
    refresh_interval: int = 1
    """Seconds between looks at the file."""

    @property
    def where(self) -> str:
        """Name the source in a message."""
        return f"the flags file {self.path}"


@dataclass(frozen=True)
class FlagServer:
    """Flags of an Unleash server; the token decides the environment."""

    url: str
    """Address of the API, e.g. `http://127.0.0.1:4242/api`."""
    token: str
    app_name: str = "bentoml-flags"
    refresh_interval: int = 2
    request_timeout: int = 2
    """Seconds for one request; a failed one is not repeated before the next refresh."""
    cache: Path | None = None
    """Folder for the last good flags, used when the server is down at the start."""
    bootstrap: Path | None = None
    """File with flags for the first start without a server."""

    @property
    def where(self) -> str:
        """Name the source in a message."""
        return without_password(self.url)

    def __repr__(self) -> str:
        return f"FlagServer(url={self.where!r}, token='***')"


def make_client(
    source: FlagFile | FlagServer,
    *,
    loaded: Loaded,
    looked: Callable[[], None],
    each_second: Callable[[], None],
) -> UnleashClient:
    """Return a client that is not started yet; a cache or a bootstrap may have given it flags.

    `loaded` is called with what each look at the source gives, before the client's engine has it;
    `looked` after the look, also if it gave nothing; `each_second` once the client is started.
    """
    scheduler = _quiet_scheduler()
    second = scheduler.add_job(each_second, "interval", seconds=1, executor=_EXECUTOR)
    common: dict[str, Any] = {
        "refresh_interval": source.refresh_interval,
        "scheduler": scheduler,
        "scheduler_executor": _EXECUTOR,
        "verbose_log_level": logging.DEBUG,
        "multiple_instance_mode": InstanceAllowType.SILENTLY_ALLOW,
        "sdk_flavor": "bentoml-flags",
    }
    if isinstance(source, FlagFile):
        client = UnleashClient(
            "http://localhost/api",  # never asked: the client only reads its cache
            "bentoml-flags",
            cache=FlagsFile(source.path, loaded),
            disable_metrics=True,
            disable_registration=True,
            **common,
        )
    else:
        client = _server_client(source, loaded, common)

    def ran(event: JobExecutionEvent) -> None:
        metrics = getattr(client.metric_job, "id", None)
        if event.job_id not in (second.id, metrics):
            looked()

    scheduler.add_listener(ran, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
    return client


def _server_client(server: FlagServer, loaded: Loaded, common: dict[str, Any]) -> UnleashClient:
    def answered(response: requests.Response, *_: Any, **__: Any) -> None:
        if FEATURES_URL not in (response.url or ""):
            return
        if response.status_code == 304:
            loaded(None, None)
        elif response.status_code != 200:
            loaded(None, f"{server.where} answers with status {response.status_code}")

    return UnleashClient(
        server.url,
        server.app_name,
        custom_headers={"Authorization": server.token},
        custom_options={"hooks": {"response": answered}},
        request_timeout=server.request_timeout,
        request_retries=0,
        cache=LastKnownGood(
            loaded,
            url=server.url,
            token=server.token,
            folder=server.cache,
            bootstrap=server.bootstrap,
        ),
        **common,
    )


def why_nothing_came(server: FlagServer) -> str | None:
    """Ask the server once more, and say in words why the client's look gave no answer at all.

    The client hides it: a lost connection is a line in its log, and so are 500, 502 and 504.
    Returns None if the server is good by now.
    """
    try:
        response = requests.get(
            server.url.rstrip("/") + FEATURES_URL,
            headers={"Authorization": server.token},
            timeout=server.request_timeout,
        )
    except requests.exceptions.ChunkedEncodingError:
        return f"{server.where} breaks its answers off"
    except (requests.RequestException, UnicodeError):  # its message may quote the token
        return f"{server.where} does not answer"
    if response.status_code == 200:
        return None
    return f"{server.where} answers with status {response.status_code}"


def _quiet_scheduler() -> BackgroundScheduler:
    """Return a scheduler without a log line per run.

    The provider logs once per change of state, in place of the client's traceback per failed poll
    and the scheduler's warning per poll that a slow server outlasts.
    """
    quiet = logging.getLogger(f"{__name__}.schedule")
    for silenced in (
        quiet,
        logging.getLogger(f"apscheduler.executors.{_EXECUTOR}"),
        logging.getLogger("UnleashClient"),
    ):
        silenced.setLevel(logging.CRITICAL)
    return BackgroundScheduler(
        logger=quiet, timezone="UTC", executors={_EXECUTOR: ThreadPoolExecutor(3)}
    )
