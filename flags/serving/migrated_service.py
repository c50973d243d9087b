"""The BentoML classes of the migrated service and of its APIs."""

from collections.abc import Callable
from typing import Any

import attrs
from bentoml import Service

from flags.serving.bentoml_private import APIMethod, RemoteProxy


class MigratedService(Service[Any]):  # type: ignore[misc]  # BentoML is not typed
    """A service that publishes the primary's schemas, so that generated clients do not change."""

    bentoml_flags_primary_service: Service[Any]

    @property
    def openapi_spec(self) -> Any:
        """Return the primary's OpenAPI document: title, description, every `operationId`."""
        return self._as_primary().openapi_spec

    def schema(self) -> dict[str, Any]:
        """Return the primary's schema."""
        schema: dict[str, Any] = self._as_primary().schema()
        return schema

    def _as_primary(self) -> Service[Any]:
        primary = self.bentoml_flags_primary_service
        primary.bento = primary.bento or self.bento  # the document shows its version, description
        return primary


@attrs.define
class MigratedMethod(APIMethod[..., Any]):  # type: ignore[misc]  # BentoML is not typed
    """An API of the migrated service, which looks to others like the primary's API.

    Its function is the primary's, which shows to a dependent service whether the API is synchronous
    and whether it is a stream. The server calls `endpoint` instead, always on the event loop.
    Without a server, as in a unit test, an instance calls the primary.
    """

    endpoint: Callable[..., Any] = attrs.field(kw_only=True)

    def __get__(self, instance: Any, owner: type) -> Any:
        """Return the method of `instance`; its attribute `local` is what a server calls."""
        if instance is None:
            return self
        local = self._local_call(instance)
        if proxy := getattr(instance, "__self_proxy__", None):
            function = getattr(proxy, self.name)
        else:
            function = local
        function.local = local
        return function

    def _local_call(self, instance: Any) -> Any:
        worker = instance.bentoml_flags_worker
        if not worker.is_started and not isinstance(worker.primary, RemoteProxy):
            return getattr(worker.primary, self.name).local

        async def answer(*args: Any, **kwargs: Any) -> Any:
            return await self.endpoint(instance, *args, **kwargs)

        return answer
