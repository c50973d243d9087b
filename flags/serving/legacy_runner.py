"""A repair of services that `bentoml.runner_service` returns: BentoML 1.4 cannot start them.

BentoML looks for API methods on the instance, which has the runner's own methods instead. All
methods of a framework's runner have one name, and so one route. Positional arguments arrive as one
list. The services are repaired in place, so that this also works in the processes of runners, which
import the module that calls `migrate`.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final

from bentoml import Service

from flags.serving.bentoml_private import APIMethod

_OPEN: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def repair_runners(service: Service[Any]) -> None:
    """Repair the legacy runners among `service` and the services that it depends on."""
    for each in service.all_services().values():
        if getattr(each.inner, "bentoml_runnable_methods__", None):
            _repair(each)


def _repair(runner: Service[Any]) -> None:
    for name, api in list(runner.apis.items()):
        if isinstance(inspect.getattr_static(runner.inner, name, None), APIMethod):
            continue  # repaired before
        method: APIMethod[..., Any] = APIMethod(
            func=_function(name, api.func),
            batchable=api.batchable,
            batch_dim=api.batch_dim,
            max_batch_size=api.max_batch_size,
            max_latency_ms=api.max_latency_ms,
        )
        setattr(runner.inner, name, method)
        runner.apis[name] = method


def _function(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of a method, renamed to the method's name.

    A function with variable arguments becomes one with a single input: a framework's runner passes
    it on to the model, and a batch has only one.
    """
    parameters = inspect.signature(original).parameters.values()
    if original.__name__ == name and all(each.kind not in _OPEN for each in parameters):
        return original

    def method(self: Any, input_data: Any) -> Any:
        return original(self, input_data)

    async def method_async(self: Any, input_data: Any) -> Any:
        return await original(self, input_data)

    function = method_async if inspect.iscoroutinefunction(original) else method
    function.__name__ = name
    function.__doc__ = original.__doc__
    return function
