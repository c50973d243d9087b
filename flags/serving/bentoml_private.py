"""The names that BentoML does not publish and that this package uses, with what each is for.

No other module imports from `_bentoml_sdk`, `_bentoml_impl` or `bentoml._internal`. A test tries
this module with the oldest and the newest BentoML that `pyproject.toml` allows.

Raises MigrationError if the installed BentoML lacks one of them.
"""

from importlib.metadata import version
from typing import Final

from flags.errors import MigrationError

SUPPORTED: Final = ">=1.4.35,<2"
"""The versions of BentoML that `pyproject.toml` allows."""

try:
    # The connection of a service to one that it depends on: a runner, or a service of its own.
    from _bentoml_impl.client import RemoteProxy

    # The exception that a service's HTTP answer stands for, as BentoML's own proxy makes it.
    from _bentoml_impl.client.proxy2 import map_exception

    # How BentoML writes an answer as JSON: the compared value is the one that is sent.
    from _bentoml_impl.serde import JSONSerde

    # The models of inputs and answers: whether an answer is bare, a file or an image.
    from _bentoml_sdk.io_models import IODescriptor, IOMixin, IORootModel

    # An API of a service: the migrated service gets one for each API of the primary.
    from _bentoml_sdk.method import APIMethod

    # Whether an API's answer is a stream, by its annotation, as BentoML tells.
    from _bentoml_sdk.typing_utils import is_iterator_type

    # What the process of an isolated candidate takes over from its worker: model store,
    # arguments of the Bento, addresses of the services that it depends on.
    from bentoml._internal.configuration.containers import BentoMLContainer

    # Name and version of the Bento, request id of a call, temporary folder of its files.
    from bentoml._internal.context import request_tempdir_pool, server_context, trace_context

    # The logging of a worker, for the process of an isolated candidate.
    from bentoml._internal.log import configure_server_logging
    from bentoml._internal.models import ModelStore

    # A cookie that a side sets through its context.
    from bentoml._internal.utils.http import Cookie
except ImportError as error:
    raise MigrationError(
        f"bentoml-flags cannot work with BentoML {version('bentoml')}: {error}. "
        f"Install a version in bentoml{SUPPORTED}; if this is one, please report it"
    ) from error

__all__ = [
    "APIMethod",
    "BentoMLContainer",
    "Cookie",
    "IODescriptor",
    "IOMixin",
    "IORootModel",
    "JSONSerde",
    "ModelStore",
    "RemoteProxy",
    "configure_server_logging",
    "is_iterator_type",
    "map_exception",
    "request_tempdir_pool",
    "server_context",
    "trace_context",
]
