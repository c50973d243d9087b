"""The calls of both sides, made from one request to an API."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import bentoml
import pydantic
from bentoml import Service
from starlette.requests import Request as StarletteRequest
from starlette.types import Scope

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import Call
from flags.pairing.input_copy import copy_call
from flags.pairing.request import Request
from flags.pairing.shadow_schedule import AnswerSent
from flags.serving.api_contract import SharedApi
from flags.serving.http.kept_body import BODY, kept_body, read_again
from flags.serving.http.middleware import IDENTITY, afterwards
from flags.serving.http.request_files import RequestFiles
from flags.serving.http.request_identity import RequestIdentity
from flags.serving.sides.context import CONTEXT, SideContext
from flags.serving.sides.placement import Placement

Contexts = Mapping[Side, SideContext]
"""The context of each side that takes one: the request as it sees it, and its response."""


class SideCalls:
    """Build the calls of one API: each side gets arguments, files and a context of its own."""

    def __init__(
        self,
        api: str,
        shared: SharedApi,
        placement: Placement,
        services: Mapping[Side, Service[Any]],
        answer_started: Callable[[], AnswerSent] = AnswerSent,
        *,
        shadow_tasks: bool = False,
    ) -> None:
        """Build the calls of `api`.

        `answer_started` is called for each request; the event that it returns is set when the
        answer was sent. With `shadow_tasks`, background tasks of a shadow run as well.
        """
        self._api = api
        self._answer_started = answer_started
        self._shared = shared
        self._converts = not shared.same_input_types  # computed once: it compares all fields
        self._placement = placement
        self._shadow_tasks = shadow_tasks
        self._takes_files = bool(shared.primary.input_spec.multipart_fields)
        params = {
            Side.PRIMARY: shared.primary.ctx_param,
            Side.CANDIDATE: shared.candidate.ctx_param,
        }
        if placement is Placement.RUNNERS:
            params = dict.fromkeys(Side, CONTEXT)
        if Side.CANDIDATE not in services:  # a remote candidate gets the caller's request
            params[Side.CANDIDATE] = CONTEXT
        self._params = {side: name for side, name in params.items() if name is not None}
        self._running: set[asyncio.Task[None]] = set()
        self._states = {
            side: services[side].context.state if side in services else {} for side in Side
        }

    async def build(self, given: Call, context: bentoml.Context) -> tuple[Request, Contexts]:
        """Return the request with a call for each side, and their contexts.

        `given` has the arguments that BentoML has read for the primary.
        """
        answer_sent = self._answer_sent(context.request.scope)
        own = await self._read_again(context.request) if self._converts else None
        if not self._takes_files:
            return self._build(given, own, context, answer_sent)
        return await asyncio.to_thread(self._build, given, own, context, answer_sent)

    async def _read_again(self, request: StarletteRequest) -> Call | Exception | None:
        """Return the call of a candidate with other types, which reads the body by them.

        Returns None if the body was not kept.
        """
        body, spec = kept_body(request), self._shared.candidate.input_spec
        if body is None:
            return None
        del request.scope[BODY]
        try:
            if not self._takes_files:
                return await read_again(request, body, spec)
            return await asyncio.to_thread(asyncio.run, read_again(request, body, spec))
        except Exception as error:
            return error

    def _build(
        self,
        given: Call,
        own: Call | Exception | None,
        context: bentoml.Context,
        answer_sent: AnswerSent | None,
    ) -> tuple[Request, Contexts]:
        scope, params = context.request.scope, self._params
        identity: RequestIdentity = scope.get(IDENTITY) or RequestIdentity(str(uuid.uuid4()), {})
        files: RequestFiles | None = None
        contexts: dict[Side, SideContext] = {}
        if self._takes_files or params:
            files = RequestFiles(context.request)
            afterwards(scope, files.release)
            given = files.with_images(given) if self._takes_files else given
        own = self._for_candidate(given) if own is None else own
        if files is not None:
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
        """Return the event of a sent answer.

        Returns None without our middleware, which sets the event, and for a stream, whose pair
        waits for its end anyway.
        """
        if IDENTITY not in scope or self._shared.primary.is_stream:
            return None
        answer_sent = self._answer_started()
        afterwards(scope, answer_sent.set)
        return answer_sent

    def _for_candidate(self, given: Call) -> Call | Exception:
        if self._converts:
            return convert_call(given, self._shared)
        if self._placement is Placement.RUNNERS and not self._takes_files:
            return given  # serialised before any model gets it
        return copy_call(given)  # copying reads an uploaded image while its file still exists

    def _with_files(self, call: Call | Exception, files: RequestFiles) -> Call | Exception:
        # Converted arguments are copies already.
        if isinstance(call, Exception) or self._converts or not self._takes_files:
            return call
        try:
            return files.with_copies(call)
        except OSError as error:
            return error


def _assigned(contexts: Contexts, assignment: Assignment) -> None:
    shadow = contexts.get(assignment.active.other)
    if shadow is not None:
        shadow.is_shadow = True
        if assignment.active is Side.PRIMARY:  # otherwise the primary's answer may be needed
            shadow.mark_shadow()


def _with_context(call: Call, parameter: str | None, context: SideContext | None) -> Call:
    if parameter is None:
        return call
    return Call(call.args, {**call.kwargs, parameter: context})


def convert_call(given: Call, shared: SharedApi) -> Call | Exception:
    """Return the primary's input converted to the candidate's types; an error if that fails."""
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
