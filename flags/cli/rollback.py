"""`bentoml migration rollback`: switch the flag off and confirm that every worker follows."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from flags.cli.exit_codes import FOLLOWERS_MISSING, exit_codes
from flags.cli.options import UnleashAccess, audit_option, unleash_options
from flags.errors import FlagsError
from flags.monitoring.views import FlagView
from flags.monitoring.worker_state import WorkerFlag
from flags.operate.audit import AuditFile, Confirmation, FlagChange, record, record_locally
from flags.operate.status import flag_in_unleash
from flags.operate.watch import Watch, WatchResult, running_workers
from flags.printable import printable
from flags.unleash.admin import FlagState, UnleashAdmin
from flags.unleash.admin.errors import (
    RateLimitedError,
    RequestRefusedError,
    UnleashFailedError,
    UnleashUnreachableError,
)

_TRIES: Final = 3
_PAUSE: Final = 1.0
"""Seconds between two tries if Unleash fails."""
_CLOCK_PRECISION: Final = 1.0
"""Seconds; Unleash's answers have their time in whole seconds."""

_OTHER_WAYS: Final = (
    "Without Unleash: restart the service without UNLEASH_URL on a flags file that is off, or "
    "deploy the primary alone."
)


@click.command("rollback")
@click.argument("reason")
@click.option("--flag", metavar="KEY", help="Key of the flag. Unset: the one that the service has.")
@click.option(
    "--service",
    default="http://127.0.0.1:3000",
    show_default=True,
    metavar="URL",
    help="The running service, with its path prefix if it has one.",
)
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the workers.",
)
@unleash_options
@audit_option
def rollback(
    reason: str,
    flag: str | None,
    service: str,
    within: float,
    unleash: UnleashAccess,
    audit: Path,
) -> None:
    """Switch the flag off, so that the primary answers everything, and watch the workers follow.

    REASON is kept on the flag, as a tag, and in the audit file. Needs no service, no pairs and no
    playbook: with --flag, nothing but Unleash is asked before the flag is off.

    Exit code 0: the flag is off, and every worker that could be asked follows. 3: it is off, but
    not every worker followed in time. 1 or 2: it could not be switched off.

    Example: bentoml migration rollback "p99 doubled" --flag fraud-detector-v2
    """
    if not reason.strip():
        raise click.UsageError("the reason is empty: say why, others will read it")
    file = AuditFile(audit)
    with exit_codes():
        key = flag or _flag_of(service)
        began = time.monotonic()
        with _not_off(key):
            admin = unleash.admin()
        with admin:
            with _not_off(key):
                before = _switch_off(admin, key, began)
            click.echo(_outcome(admin, key, before))
            change = _change(admin, key, before, reason)
            recorded = record(admin, change, file)
    if recorded.note:
        click.echo(f"reason kept on the flag: {recorded.note}")
    _warn(recorded.warnings)
    try:
        watch = Watch(service, key, environment=admin.environment)
        watched = watch.until(_off, within=within, began=began)
    except KeyboardInterrupt:
        watched = WatchResult(0, None, missing=("the watching was broken off",))
    _warn(record_locally(_confirmation(change, service, watched), file))
    _show(watched, service, time.monotonic() - began)
    raise SystemExit(0 if watched.followed or watched.unreachable else FOLLOWERS_MISSING)


@contextmanager
def _not_off(key: str) -> Iterator[None]:
    """At a FlagsError, print that the flag may still be on, then raise the error."""
    try:
        yield
    except FlagsError:
        click.echo(f"{printable(key)} is NOT known to be off. {_OTHER_WAYS}", err=True)
        raise


def _flag_of(service: str) -> str:
    try:
        return running_workers(service).flag
    except FlagsError:
        click.echo("which flag it is cannot be asked of the service: give --flag KEY", err=True)
        raise


def _switch_off(admin: UnleashAdmin, key: str, began: float) -> FlagState | None:
    """Switch the flag off, and return its state before; None if that is unknown.

    The state is read after the flag was switched off, so that no problem with it delays the
    rollback. Unleash refuses to switch an archived flag, which is off for everyone.
    """
    try:
        done = _repeated(lambda: admin.turn_off(key))
    except RequestRefusedError:
        if (state := admin.state(key)).archived:
            return state
        raise
    if done is None:
        return None
    since = done - timedelta(seconds=time.monotonic() - began + _CLOCK_PRECISION)
    try:
        state, events = admin.state(key), admin.events(key)
    except FlagsError:
        return None
    # Unleash logs no event if the flag was off already.
    newest = events[0] if events else None
    switched = newest is not None and newest.enabled is False and newest.time >= since
    return replace(state, enabled=switched)


def _repeated(request: Callable[[], datetime | None]) -> datetime | None:
    for _ in range(_TRIES - 1):
        try:
            return request()
        except (UnleashUnreachableError, UnleashFailedError, RateLimitedError) as error:
            click.echo(f"Warning: {error}; trying again", err=True)
            time.sleep(_PAUSE)
    return request()


def _outcome(admin: UnleashAdmin, key: str, before: FlagState | None) -> str:
    where = f"{key} is off in {admin.environment}"
    if before is None:
        return f"{where}; what it was before could not be asked"
    if before.archived:
        return f"{where}: it is archived"
    return f"{where}, it was {'so already' if not before.enabled else _words(before)}"


def _words(state: FlagState) -> str:
    view = flag_in_unleash(state)
    return "on, no single rollout" if view.rollout is None else f"at {view.rollout:g} %"


def _change(admin: UnleashAdmin, key: str, before: FlagState | None, reason: str) -> FlagChange:
    was = flag_in_unleash(before) if before else None
    after = FlagView(False, was.rollout if was else None, was.stickiness if was else None)
    return FlagChange.of(admin, key, "rollback", before=was, after=after, reason=reason)


def _confirmation(change: FlagChange, service: str, watched: WatchResult) -> Confirmation:
    missing = watched.missing or ((watched.unreachable,) if watched.unreachable else ())
    seconds = None if watched.seconds is None else round(watched.seconds, 3)
    return Confirmation(change.id, datetime.now(UTC), service, watched.workers, seconds, missing)


def _off(seen_flag: WorkerFlag) -> bool:
    """Say whether the primary answers everything in a worker: the flag is off, or missing."""
    return not seen_flag.enabled


def _show(watched: WatchResult, service: str, passed: float) -> None:
    if watched.seconds is not None:
        count = f"{watched.workers} worker" + ("" if watched.workers == 1 else "s")
        every = "" if watched.workers == 1 else "all "
        click.echo(f"{every}{count} followed within {watched.seconds:.1f} s")
    elif watched.unreachable is not None:
        click.echo(f"the workers could not be asked: {printable(watched.unreachable)}")
    else:
        click.echo(
            f"Error: the flag is off, but not every worker of {service} follows "
            f"after {passed:.1f} s",
            err=True,
        )
        for each in watched.missing:
            click.echo(f"  {printable(each)}", err=True)


def _warn(warnings: Iterable[str]) -> None:
    for each in warnings:
        click.echo(f"Warning: {printable(each)}", err=True)
