"""An nginx in front of two services: one answers, the other gets a copy of each request."""

import contextlib
import shutil
import subprocess
from pathlib import Path

from service.serving import free_port

# Percentages of `split_clients` have two decimals; `*` is the rest. Both upstreams keep connections
# open, and a mirrored request has the body of the original one.
_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream primary {{ server 127.0.0.1:{primary}; keepalive 32; }}
    upstream candidate {{ server 127.0.0.1:{candidate}; keepalive 32; }}
    split_clients $http_x_request_id $active {{
        {split}
    }}
    map $active $shadow {{ primary candidate; candidate primary; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 1000000;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        location / {{ mirror /mirror; proxy_pass http://$active; }}
        location = /mirror {{ internal; proxy_pass http://$shadow$request_uri; }}
    }}
}}
"""


def is_installed() -> bool:
    """Say whether nginx is installed; Debian's `nginx-light` is enough."""
    return _program() is not None


class Nginx:
    """An nginx process with its own configuration, separate from the system's nginx."""

    def __init__(self, folder: Path, *, primary: int, candidate: int, rollout: float) -> None:
        """Configure it to answer `rollout` percent of the request ids from the port `candidate`."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        share = "* primary;" if rollout == 0 else f"{rollout}% candidate; * primary;"
        self._configuration = folder / "nginx.conf"
        self._configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                primary=primary,
                candidate=candidate,
                port=self.port,
                split="* candidate;" if rollout == 100 else share,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the master."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    def __enter__(self) -> "Nginx":
        self._process = subprocess.Popen([str(_program()), "-c", str(self._configuration)])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None  # noqa: S101
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()


def _program() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
