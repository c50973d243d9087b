"""The construction of a worker's two sides, as the plan places them."""

from typing import Any

from flags.pairing.assignment import Side
from flags.serving.environment import own_environment
from flags.serving.isolated.environment import OwnEnvironment
from flags.serving.isolated.interpreter_side import InterpreterSide
from flags.serving.isolated.side import IsolatedSide
from flags.serving.plan import Plan
from flags.serving.remote.address import Remote
from flags.serving.remote.side import RemoteSide
from flags.serving.sides.placement import EmbeddedSide, PlacedPrimary, PlacedSide, Placement
from flags.serving.sides.runner import RunnerSide


def placed_sides(instance: Any, plan: Plan) -> tuple[PlacedPrimary, PlacedSide]:
    """Return primary and candidate of `instance`, an instance of the migrated class."""
    primary: PlacedPrimary = (
        _runner(instance, plan, Side.PRIMARY)
        if plan.placement is Placement.RUNNERS
        else EmbeddedSide(Side.PRIMARY, plan.primary)
    )
    return primary, _candidate(instance, plan)


def _candidate(instance: Any, plan: Plan) -> PlacedSide:
    settings, candidate = plan.settings, plan.candidate
    if isinstance(candidate, Remote):
        return RemoteSide(
            candidate,
            [each.shared.primary for each in plan.apis.values()],
            settings.link,
            connections=settings.candidate_connections,
        )
    if isinstance(candidate, OwnEnvironment):
        return InterpreterSide(
            candidate,
            [each.shared.primary for each in plan.apis.values()],
            settings.link,
            connections=settings.candidate_connections,
            start_within=settings.candidate_start_timeout,
        )
    if plan.placement is Placement.RUNNERS:
        return _runner(instance, plan, Side.CANDIDATE)
    if plan.placement is Placement.EMBEDDED:
        return EmbeddedSide(Side.CANDIDATE, candidate)
    return IsolatedSide(
        candidate,
        start_within=settings.candidate_start_timeout,
        max_memory=settings.candidate_max_memory,
        gc_freeze=settings.gc_freeze,
        environment=lambda: own_environment(candidate, plan.primary),
    )


def _runner(instance: Any, plan: Plan, side: Side) -> RunnerSide:
    dependency = getattr(type(instance), f"bentoml_flags_{side}")
    return RunnerSide(
        plan.services[side],
        lambda: dependency.__get__(instance, type(instance)),
        shadow_tasks=plan.shadow_tasks,
    )
