"""Ask a running service what its workers believe."""

from typing import Final

import requests

from flags.errors import NoMigrationEndpointError, ServiceUnreachableError
from flags.monitoring.worker_state import WORKERS_PATH, Workers

_TIMEOUT: Final = (3.0, 5.0)
"""Seconds to connect, and to be answered."""
_LOOPBACK: Final = ("http://127.", "http://localhost", "http://[::1]")


def running_workers(url: str) -> Workers:
    """Return what the service at `url`, its path prefix included, says of its workers.

    Raises ServiceUnreachableError or NoMigrationEndpointError.
    """
    base = url.strip().rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise NoMigrationEndpointError(f"{url!r} is no http or https URL")
    with requests.Session() as session:
        session.trust_env = not base.startswith(_LOOPBACK)
        try:
            response = session.get(base + WORKERS_PATH, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            raise ServiceUnreachableError(
                f"no service answers at {base} ({type(error).__name__})"
            ) from None
    if response.status_code >= 500 or response.status_code == 429:
        raise ServiceUnreachableError(f"{base} answers with status {response.status_code}")
    if response.status_code == 200:
        try:
            return Workers.parse(response.content)
        except ValueError:
            pass
    raise NoMigrationEndpointError(
        f"{base} answers (status {response.status_code}), but not to GET {WORKERS_PATH}: it "
        "is no migrated service, its path prefix is missing, or MIGRATION_ENDPOINTS is false"
    )
