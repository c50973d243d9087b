"""An S3 server on the loopback interface, moto's, for as long as a test needs it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

BUCKET = "migrations"
SECRET = "a-secret-word-of-forty-characters-length"  # noqa: S105 - of no account


class ObjectStore:
    """Name the server, and change who may do what."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @contextmanager
    def closed_to_all(self) -> Iterator[None]:
        """Refuse each request: nobody has a policy that allows it."""
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data="0", timeout=10)
        try:
            yield
        finally:
            requests.post(f"{self.endpoint}/moto-api/reset-auth", data="inf", timeout=10)


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start the server with an empty bucket, and point the environment at it."""
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        endpoint = f"http://{host}:{port}"
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_REGION"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        made = S3FileSystem(
            endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
        )
        made.create_dir(BUCKET)
        try:
            yield ObjectStore(endpoint)
        finally:
            server.stop()
