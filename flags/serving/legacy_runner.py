"""A repair of what `bentoml.runner_service` returns: BentoML 1.4 cannot start it.

Where BentoML looks for API methods, its instances have the runner's own ones. All methods of a
framework's runner go by one name, and so by one route. What is given by position arrives as one
list. Each is mended here, in place, so that the processes of runners are mended too: they import
the module that calls `migrate`.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final

from bentoml import Service

from flags.serving.bentoml_private import APIMethod

_OPEN: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def mend_runners(service: Service[Any]) -> None:
    """Mend the legacy runners among `service` and the services that it depends on."""
    for each in service.all_services().values():
        if getattr(each.inner, "bentoml_runnable_methods__", None):
            _mend(each)


def _mend(runner: Service[Any]) -> None:
    for name, api in list(runner.apis.items()):
        if isinstance(inspect.getattr_static(runner.inner, name, None), APIMethod):
            continue  # mended before
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
    """Return the function behind a method under its own name.

    One that takes anything takes one input: runners of frameworks pass it on to the model, and
    batches have no more than one.
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
