"""The data of the live page: the flag and the counts as the workers see them, no secrets."""

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
    """One worker as the page lists it."""

    worker: str
    pid: int
    host: str
    answers_this: bool
    """True of the one that answers this request."""
    state: str
    """Of its flags: `ready`, `stale` and so on; `silent` where it has not been heard of."""
    stage: Stage | None
    sees: str
    since: datetime | None
    """When it first saw the flag so; at its start at the earliest."""
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
    """False where the workers see the flag differently."""
    stage: Stage | None
    """As the gate has judged it, where it has judged the present rollout."""
    enabled: bool | None
    rollout: float | None
    stickiness: str | None
    since: datetime | None
    """When the first worker saw the flag so; None where they do not agree."""
    alarms_since: datetime | None
    """Since when the alarms are counted, where that is less than all the minutes."""
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
    """Where the page's figures come from."""

    registry: WorkerRegistry
    service: str
    flag: str
    settings: Settings

    def workers(self) -> Workers:
        """Return the service's workers that follow the flag; reads files.

        A folder may hold those of another migration of the same service: of the next candidate.
        """
        running = tuple(each for each in self.registry.running() if each.flag.key == self.flag)
        return Workers(self.service, self.flag, datetime.now(UTC), running)

    def look(self) -> Live:
        """Return what is to be seen now; reads files."""
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
    """Return the address of the flag's page; None without a server, or without its project.

    Users and passwords in the server's URL are left out, and so is anything but http and https.
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
    """Return the stage; at 100 % the gate alone knows whether the primary still serves as spare."""
    if view is None:
        return None
    if verdict and verdict.stage and view.enabled and verdict.rollout == view.rollout:
        return verdict.stage
    return view.stage


def _worker(view: WorkerView, flag: FlagView | None, answers_this: bool) -> LiveWorker:
    state, seen_flag, sees = view.state, view.state.flag, view.sees
    if sees and flag and sees.stickiness == flag.stickiness:  # which is said of all of them
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
