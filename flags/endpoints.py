"""Answer under /migration what an operator asks of a running service: read-only, no secrets."""

from datetime import UTC, datetime
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from flags.worker_state import WORKERS_PATH, Roster, Workers

MOUNTED_AT: Final = "/migration"


def endpoints(roster: Roster, service: str, flag: str) -> Starlette:
    """Return the application to mount at `MOUNTED_AT`."""

    def workers(_request: Request) -> Response:  # not async: it reads files
        seen = Workers(service, flag, datetime.now(UTC), roster.running())
        return Response(
            seen.to_json(), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    return Starlette(
        routes=[Route(WORKERS_PATH.removeprefix(MOUNTED_AT), workers, methods=["GET"])]
    )
