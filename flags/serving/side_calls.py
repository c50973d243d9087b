"""The calls of both sides, made from one request to an API."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import bentoml
import pydantic
from bentoml import Service
from starlette.types import Scope

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import Call
from flags.pairing.input_copy import isolated
from flags.pairing.request import Request
from flags.pairing.shadow_schedule import AnswerSent
from flags.serving.api_contract import SharedApi
from flags.serving.http.middleware import IDENTITY, afterwards
from flags.serving.http.request_files import RequestFiles
from flags.serving.http.request_identity import RequestIdentity
from flags.serving.sides.context import CONTEXT, SideContext
from flags.serving.sides.placement import Placement

Contexts = Mapping[Side, SideContext]
"""What each side that takes a context sees of the request, and sets on its response."""


class SideCalls:
    """Make the calls of one API: each side gets arguments, files and a context of its own."""

    def __init__(
        self,
        api: str,
        shared: SharedApi,
        placement: Placement,
        services: Mapping[Side, Service[Any]],
        arrived: Callable[[], AnswerSent] = AnswerSent,
        *,
        shadow_tasks: bool = False,
    ) -> None:
        """Make the calls of `api`; `arrived` says when what follows a request's answer begins.

        With `shadow_tasks`, background tasks of a shadow run as well.
        """
        self._api = api
        self._arrived = arrived
        self._shared = shared
        self._converts = not shared.same_input_types  # once: it looks at each field
        self._placement = placement
        self._shadow_tasks = shadow_tasks
        self._takes_files = bool(shared.primary.input_spec.multipart_fields)
        params = {
            Side.PRIMARY: shared.primary.ctx_param,
            Side.CANDIDATE: shared.candidate.ctx_param,
        }
        if placement is Placement.RUNNERS:
            params = dict.fromkeys(Side, CONTEXT)
        if Side.CANDIDATE not in services:  # it is a server, which gets the caller's request
            params[Side.CANDIDATE] = CONTEXT
        self._params = {side: name for side, name in params.items() if name is not None}
        self._running: set[asyncio.Task[None]] = set()
        self._states = {
            side: services[side].context.state if side in services else {} for side in Side
        }

    async def made(self, given: Call, context: bentoml.Context) -> tuple[Request, Contexts]:
        """Return the request as both sides get it, and their contexts.

        `given` are the arguments as BentoML has read them for the primary.
        """
        answer_sent = self._answer_sent(context.request.scope)
        if not self._takes_files:
            return self._made(given, context, answer_sent)
        return await asyncio.to_thread(self._made, given, context, answer_sent)

    def _made(
        self, given: Call, context: bentoml.Context, answer_sent: AnswerSent | None
    ) -> tuple[Request, Contexts]:
        scope, params = context.request.scope, self._params
        identity: RequestIdentity = scope.get(IDENTITY) or RequestIdentity(str(uuid.uuid4()), {})
        own = self._for_candidate(given)
        files: RequestFiles | None = None
        contexts: dict[Side, SideContext] = {}
        if self._takes_files or params:
            files = RequestFiles(context.request)
            afterwards(scope, files.release)
            own = self._with_files(own, files)
            contexts = {
                side: SideContext(context.request, self._states[side], files.new_folder)
                for side in params
            }
        request = Request(
            identity.request_id,
            primary=_with_context(given, params.get(Side.PRIMARY), contexts.get(Side.PRIMARY)),
            candidate=own
            if isinstance(own, Exception)
            else _with_context(own, params.get(Side.CANDIDATE), contexts.get(Side.CANDIDATE)),
            api=self._api,
            attributes=identity.attributes,
            headers=context.request.headers,
            inputs=given.args[0] if given.args else given.kwargs,
            on_assigned=partial(_assigned, contexts) if contexts else None,
            on_recorded=None if files is None else partial(self._recorded, files, contexts),
            answer_sent=answer_sent,
        )
        return request, contexts

    def _recorded(self, files: RequestFiles, contexts: Contexts) -> None:
        files.release()
        candidate = contexts.get(Side.CANDIDATE)
        if self._shadow_tasks and candidate is not None and candidate.is_shadow:
            task = asyncio.get_running_loop().create_task(candidate.run_tasks())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _answer_sent(self, scope: Scope) -> AnswerSent | None:
        """Return the end of the response, if the middleware tells; a stream ends its own pair."""
        if IDENTITY not in scope or self._shared.primary.is_stream:
            return None
        answer_sent = self._arrived()
        afterwards(scope, answer_sent.happened)
        return answer_sent

    def _for_candidate(self, given: Call) -> Call | Exception:
        if self._converts:
            return call_converted(given, self._shared)
        if self._placement is Placement.RUNNERS and not self._takes_files:
            return given  # it is serialised, before any model has it
        return isolated(given)  # an uploaded image is read by that, while it is still there

    def _with_files(self, call: Call | Exception, files: RequestFiles) -> Call | Exception:
        # What was converted was written anew already.
        if isinstance(call, Exception) or self._converts or not self._takes_files:
            return call
        try:
            return files.copied(call)
        except OSError as error:
            return error


def _assigned(contexts: Contexts, assignment: Assignment) -> None:
    unasked = contexts.get(assignment.active.other)
    if unasked is not None:
        unasked.is_shadow = True
        if assignment.active is Side.PRIMARY:  # the primary's answer may still be needed
            unasked.mark_shadow()


def _with_context(call: Call, parameter: str | None, context: SideContext | None) -> Call:
    if parameter is None:
        return call
    return Call(call.args, {**call.kwargs, parameter: context})


def call_converted(given: Call, shared: SharedApi) -> Call | Exception:
    """Return the input as the candidate's own types, built anew from the primary's."""
    ours, theirs = shared.primary.input_spec, shared.candidate.input_spec
    try:
        if given.args and isinstance(given.args[0], pydantic.BaseModel):
            dumped = given.args[0].model_dump()  # `from_inputs` takes no model for a whole body
        else:
            dumped = ours.from_inputs(*given.args, **given.kwargs).model_dump()
        if getattr(theirs, "__root_input__", False):
            model: Any = theirs.model_validate(dumped)
            return Call((getattr(model, "root", model),))
        model = theirs.model_validate(dumped)
        return Call((), {name: getattr(model, name) for name in theirs.model_fields})
    except Exception as error:
        return error
