"""A program for another interpreter: serve one BentoML service at a socket until the worker ends.

    python launcher.py MODULE:NAME STORE ALIASES LISTENING ALIVE REPORT

`STORE` is the folder of BentoML's models, `ALIASES` are names of models as JSON. `LISTENING` is the
handle of the socket, `ALIVE` of a pipe that closes with the worker, `REPORT` of a pipe for one line
of JSON: the tags of the service's models, or why the service could not be loaded.

It imports only the standard library and BentoML, because the other interpreter lacks this package.
"""

import fcntl
import json
import os
import signal
import socket
import sys
from typing import Any


def main(target: str, store: str, aliases: str, listening: int, alive: int, report: int) -> None:
    """Load the service, report the result, and serve."""
    _end_with_the_worker(alive)
    for handle in (listening, alive, report):
        os.set_inheritable(handle, False)
    sys.path[0] = os.getcwd()  # instead of this file's folder, whose modules have common names
    try:
        service = _loaded(target, store, json.loads(aliases))
        app = service.to_asgi(is_main=True)
        models = [_tag(model) for model in service.models]
    except BaseException as error:
        _write_report(report, {"error": f"{type(error).__name__}: {error}"})
        raise
    _write_report(report, {"models": [tag for tag in models if tag]})
    _serve(app, listening)


def _loaded(target: str, store: str, aliases: dict[str, str]) -> Any:
    """Import the service with the worker's model store, which may be that of a Bento."""
    import bentoml
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.models import ModelStore

    BentoMLContainer.model_store.set(ModelStore(store))
    BentoMLContainer.model_aliases.set(aliases)
    service: Any = bentoml.load(target, working_dir=os.getcwd())
    service.inject_config()
    return service


def _serve(app: Any, listening: int) -> None:
    import uvicorn

    config = uvicorn.Config(app, log_config=None, timeout_keep_alive=60, server_header=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listening)])


def _tag(model: Any) -> str:
    try:
        return str(model.stored.tag)
    except Exception:  # a model without a tag, or a missing one, which the service reports itself
        return ""


def _write_report(report: int, content: dict[str, Any]) -> None:
    with os.fdopen(report, "w") as pipe:
        pipe.write(json.dumps(content) + "\n")


def _end_with_the_worker(alive: int) -> None:
    """Let the kernel kill this session when the pipe closes, whatever the model does then."""
    fcntl.fcntl(alive, fcntl.F_SETOWN, -os.getpgrp())
    if hasattr(fcntl, "F_SETSIG"):  # Linux; elsewhere the signal is SIGIO, which ends it as well
        fcntl.fcntl(alive, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(alive, fcntl.F_SETFL, fcntl.fcntl(alive, fcntl.F_GETFL) | os.O_ASYNC)


if __name__ == "__main__":
    _target, _store, _aliases, *_handles = sys.argv[1:]
    main(_target, _store, _aliases, *map(int, _handles))
