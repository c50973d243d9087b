"""The data of the live page: the flag and the counts as the workers see them, without secrets."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit, urlunsplit

from flags.monitoring.last_verdict import LastVerdict, last_verdict
from flags.monitoring.recent_counts import read_recent, recent_path
from flags.monitoring.recent_minutes import Minutes
from flags.monitoring.rollouts_taken import rollouts_taken
from flags.monitoring.views import FlagView, ServiceView, WorkerView
from flags.monitoring.worker_state import WorkerRegistry, Workers
from flags.playbook.stages import Stage
from flags.printable import printable_json, without_credentials
from flags.serving.settings import Settings


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """One worker in the page's list."""

    worker: str
    pid: int
    host: str
    answers_this: bool
    """True for the worker that answers this request."""
    state: str
    """State of its flags: `ready`, `stale` and so on; `silent` if the worker stopped reporting."""
    stage: Stage | None
    sees: str
    since: datetime | None
    """Since when it sees the flag in this state; its own start at the earliest."""
    pairs: int
    dropped: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Live:
    """A migration at one moment, as the workers of one service see it."""

    service: str
    flag: str
    at: datetime
    agreed: bool
    """False if the workers see the flag in different states."""
    stage: Stage | None
    """The stage of the last verdict if it judged the present rollout, else that of the rollout."""
    enabled: bool | None
    rollout: float | None
    stickiness: str | None
    since: datetime | None
    """When the first worker saw the flag in this state; None if the workers do not agree."""
    alarms_since: datetime | None
    """Start of the alarm counts if it is later than the start of `minutes`."""
    taken: tuple[float, ...]
    """Rollouts at which the flag was seen on."""
    link: str | None
    """The flag's page in Unleash."""
    workers: tuple[LiveWorker, ...]
    minutes: Minutes
    verdict: LastVerdict | None

    def to_json(self) -> bytes:
        """Return the JSON text."""
        return printable_json(self)


@dataclass(frozen=True, slots=True)
class LiveSource:
    """The source of the page's data: the files that the workers of one service write."""

    registry: WorkerRegistry
    service: str
    flag: str
    settings: Settings

    def workers(self) -> Workers:
        """Return the service's workers that use the flag; reads files.

        The folder may also have workers of another migration of the service, such as the next one.
        """
        running = tuple(each for each in self.registry.running() if each.flag.key == self.flag)
        return Workers(self.service, self.flag, datetime.now(UTC), running)

    def data(self) -> Live:
        """Return the present data; reads files."""
        folder, workers = self.settings.pairs_dir, self.workers()
        now = workers.at
        seen = ServiceView.of(workers)
        view = seen.flag
        own = self.registry.own
        times = [each.state.flag.since for each in seen.workers if each.state.flag.since]
        minutes = Minutes.of(
            [
                counted
                for each in workers.workers
                if (counted := read_recent(recent_path(folder, each.worker)))
            ],
            now.timestamp(),
        )
        changed, verdict = max(times, default=None), last_verdict(folder, self.flag)
        begins = datetime.fromtimestamp(minutes.begins, UTC)
        return Live(
            service=self.service,
            flag=self.flag,
            at=now,
            agreed=not seen.workers_differ,
            stage=_stage(view, verdict),
            enabled=view.enabled if view else None,
            rollout=view.rollout if view else None,
            stickiness=view.stickiness if view else None,
            since=min(times, default=None) if view else None,
            alarms_since=changed if changed and changed > begins else None,
            taken=tuple(sorted(rollouts_taken(folder, self.flag))),
            link=self._link(seen),
            workers=tuple(
                _worker(each, view, answers_this=each.state.worker == own) for each in seen.workers
            ),
            minutes=minutes,
            verdict=verdict,
        )

    def _link(self, seen: ServiceView) -> str | None:
        projects = (each.state.flag.project for each in seen.workers)
        project = next((name for name in projects if name), None)
        return flag_link(self.settings, project, self.flag)


def flag_link(settings: Settings, project: str | None, flag: str) -> str | None:
    """Return the address of the flag's page in Unleash; None without a server or a project.

    User and password in the server's URL are left out. For a URL that is not http or https, return
    None.
    """
    base = settings.unleash_dashboard_url or settings.unleash_url
    if not base or not project:
        return None
    parts = urlsplit(base.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    path = parts.path.rstrip("/").removesuffix("/api")
    page = f"{path}/projects/{quote(project, safe='')}/features/{quote(flag, safe='')}"
    return without_credentials(urlunsplit((parts.scheme, parts.netloc, page, "", "")))


def _stage(view: FlagView | None, verdict: LastVerdict | None) -> Stage | None:
    """Return the stage. At 100 % only a verdict distinguishes the ramp from the deprecation."""
    if view is None:
        return None
    if verdict and verdict.stage and view.enabled and verdict.rollout == view.rollout:
        return verdict.stage
    return view.stage


def _worker(view: WorkerView, flag: FlagView | None, answers_this: bool) -> LiveWorker:
    state, seen_flag, sees = view.state, view.state.flag, view.sees
    if sees and flag and sees.stickiness == flag.stickiness:  # the page shows it once for all
        sees = replace(sees, stickiness=None)
    return LiveWorker(
        worker=state.worker,
        pid=state.pid,
        host=state.host,
        answers_this=answers_this,
        state="silent" if view.silent else seen_flag.state,
        stage=sees.stage if sees else None,
        sees=str(sees) if sees else "no flag",
        since=seen_flag.since,
        pairs=state.pairs.recorded,
        dropped=sum(state.pairs.dropped.values()),
        remarks=view.remarks,
    )
