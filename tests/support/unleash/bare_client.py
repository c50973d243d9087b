"""Unleash's own client, as its documentation makes one, without anything of ours."""

from pathlib import Path

from UnleashClient import UnleashClient
from UnleashClient.cache import FileCache
from UnleashClient.utils import InstanceAllowType


def bare_client(flags: Path) -> UnleashClient:
    """Return a client on the flags of a file, beside which it keeps them."""
    cache = FileCache("bare", directory=str(flags.parent))
    cache.bootstrap_from_file(flags)
    client = UnleashClient(
        "http://localhost/api",
        "bare",
        cache=cache,
        disable_metrics=True,
        disable_registration=True,
        multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
    )
    client.initialize_client(fetch_toggles=False)
    return client
