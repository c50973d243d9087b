"""A local S3 server (moto) with one empty bucket `pairs`; it runs until it is killed.

python -m load_tests.s3_server    prints its address
"""

import logging
import time

from moto.server import ThreadedMotoServer
from pyarrow.fs import S3FileSystem

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    S3FileSystem(
        endpoint_override=f"{host}:{port}",
        scheme="http",
        access_key="key",
        secret_key="secret",  # noqa: S106 - of no account
        allow_bucket_creation=True,
    ).create_dir("pairs")
    print(f"http://{host}:{port}", flush=True)
    while True:
        time.sleep(3600)
