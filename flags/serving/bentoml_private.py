"""The private names of BentoML that this package uses, each with its purpose.

No other module imports from `_bentoml_sdk`, `_bentoml_impl` or `bentoml._internal`, except the
launcher, which runs in another interpreter. A test tries this module with the oldest and the newest
BentoML that `pyproject.toml` allows.

Raises MigrationError if the installed BentoML lacks one of them.
"""

from importlib.metadata import version
from typing import Final

from flags.errors import MigrationError

SUPPORTED: Final = ">=1.4.35,<2"
"""The versions of BentoML that `pyproject.toml` allows."""

try:
    # The connection of a service to a service that it depends on, such as a runner.
    from _bentoml_impl.client import RemoteProxy

    # BentoML's encodings of an answer, by content type, also for answers of a runner.
    from _bentoml_impl.serde import ALL_SERDE, JSONSerde, Payload, PickleSerde

    # The models of inputs and answers: they show whether an answer is bare, a file or an image.
    # And the names of the fields that stand for `*args` and `**kwargs`.
    from _bentoml_sdk.io_models import ARGS, KWARGS, IODescriptor, IOMixin, IORootModel

    # An API of a service: the migrated service gets one for each API of the primary.
    from _bentoml_sdk.method import APIMethod

    # The instance that mounted applications get as their `self`.
    from _bentoml_sdk.service import get_current_service, set_current_service

    # BentoML's test whether an API's answer is a stream, by its annotation.
    from _bentoml_sdk.typing_utils import is_iterator_type

    # The folder and name that BentoML gives to an uploaded file.
    from _bentoml_sdk.validators import FileSchema

    # The configuration that an isolated candidate's process gets from its worker: model store,
    # arguments of the Bento, addresses of the services that it depends on.
    from bentoml._internal.configuration.containers import BentoMLContainer

    # Name and version of the Bento, request id of a call, temporary folder of its files,
    # the current request and BentoML's context of it.
    from bentoml._internal.context import (
        ServiceContext,
        request_tempdir_pool,
        server_context,
        trace_context,
    )
    from bentoml._internal.context import _request_var as current_request

    # The logging of a worker, for the process of an isolated candidate.
    from bentoml._internal.log import configure_server_logging
    from bentoml._internal.models import ModelStore

    # The joining of inputs of a `batchable` API, and the splitting of its answer.
    from bentoml._internal.runner.container import AutoContainer

    # Cookies that a side sets through its context.
    from bentoml._internal.utils.http import Cookie, set_cookies

    # The conversion of a runner's address to the path of its socket.
    from bentoml._internal.utils.uri import uri_to_path
except ImportError as error:
    raise MigrationError(
        f"bentoml-flags cannot work with BentoML {version('bentoml')}: {error}. "
        f"Install a version in bentoml{SUPPORTED}; if this is one, please report it"
    ) from error

__all__ = [
    "ALL_SERDE",
    "ARGS",
    "KWARGS",
    "APIMethod",
    "AutoContainer",
    "BentoMLContainer",
    "Cookie",
    "FileSchema",
    "IODescriptor",
    "IOMixin",
    "IORootModel",
    "JSONSerde",
    "ModelStore",
    "Payload",
    "PickleSerde",
    "RemoteProxy",
    "ServiceContext",
    "configure_server_logging",
    "current_request",
    "get_current_service",
    "is_iterator_type",
    "request_tempdir_pool",
    "server_context",
    "set_cookies",
    "set_current_service",
    "trace_context",
    "uri_to_path",
]
