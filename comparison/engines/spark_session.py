"""The Spark session: on this machine, or on a cluster's master.

An active session, as in a notebook or under `spark-submit`, is used as it is.
"""

import os
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import ibis

from comparison.engines.engine_urls import PlaceError

_LOCAL: Final = "local"
_PORT: Final = 7077
_CONNECT_SECONDS: Final = 5.0

_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    # Read nanoseconds as whole numbers: Spark's timestamps have microseconds.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # Keep a flag named 7 a text.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
_LOCAL_SETTINGS: Final = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # There are a few thousand groups at most; the default of 200 tasks would take longer than them.
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
}


def connect(master: str) -> Any:
    """Connect ibis to Spark; `local` is this machine. Raises PlaceError, or ImportError."""
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        builder = SparkSession.builder.appName("bentoml-flags")
        here = not master or master.startswith(_LOCAL)
        if not here:
            _require_answer(master)
        builder = builder.master(
            (f"{_LOCAL}[*]" if master in ("", _LOCAL) else master) if here else f"spark://{master}"
        )
        for name, value in {**_SETTINGS, **(_LOCAL_SETTINGS if here else {})}.items():
            builder = builder.config(name, value)
        try:
            session = builder.getOrCreate()
        except PySparkRuntimeError as error:
            if "JAVA" not in str(error).upper():
                raise
            raise PlaceError("Spark needs Java 17 or later, by JAVA_HOME or on the PATH") from error
        session.sparkContext.setLogLevel("ERROR")
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    return ibis.pyspark.connect(session)


def _require_answer(master: str) -> None:
    """Raise PlaceError if nothing listens: Spark itself would retry and log for a minute."""
    place = urlsplit(f"//{master}")
    try:
        socket.create_connection((place.hostname, place.port or _PORT), _CONNECT_SECONDS).close()
    except OSError as error:
        said = f"no master of Spark answers at {master} ({error.strerror or error})"
        raise PlaceError(said) from error
