"""Arrow's file systems for object stores, with credentials from the environment.

Credentials are `AWS_*`, Google's application default credentials and `AZURE_*`. As in each store's
own clients, a variable names a compatible server: AWS_ENDPOINT_URL, STORAGE_EMULATOR_HOST,
AZURE_STORAGE_CONNECTION_STRING.
"""

import os
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from comparison.errors import StoreUnreadableError

CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of this machine; "
    "reading takes s3:ListBucket and s3:GetObject, compacting s3:PutObject and s3:DeleteObject too",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the service account of this machine",
    "az": "AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, "
    "AZURE_STORAGE_CONNECTION_STRING, or the identity of this machine",
}
"""The sources of each store's credentials, for the message of a refused access."""

_RETRY_LIMIT: Final = timedelta(seconds=15)
"""How long Google's client retries; its default is a quarter of an hour."""


def file_system(scheme: str, bucket: str) -> Any:
    """Return Arrow's file system for a bucket.

    Raises StoreUnreadableError without pyarrow, ValueError, and Arrow's errors.
    """
    try:
        import pyarrow.fs as arrow
    except ImportError:
        raise StoreUnreadableError(
            f"{scheme}://{bucket}", "this needs pyarrow (pip install 'bentoml-flags[comparison]')"
        ) from None
    return {"s3": _amazon, "gs": _google, "az": _azure}[scheme](arrow, bucket)


def _amazon(arrow: Any, bucket: str) -> Any:
    endpoint = _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    region = _first("AWS_REGION", "AWS_DEFAULT_REGION")
    if endpoint is None:
        if region is None:
            with suppress(OSError):  # a private bucket may refuse; the profile may have the region
                region = arrow.resolve_s3_region(bucket)
        return arrow.S3FileSystem(region=region)
    host, scheme = _address(endpoint, "https")
    return arrow.S3FileSystem(region=region, endpoint_override=host, scheme=scheme)


def _google(arrow: Any, _: str) -> Any:
    server = _first("STORAGE_EMULATOR_HOST")
    if server is None:
        return arrow.GcsFileSystem(retry_time_limit=_RETRY_LIMIT)
    host, scheme = _address(server, "http")
    return arrow.GcsFileSystem(
        anonymous=True, endpoint_override=host, scheme=scheme, retry_time_limit=_RETRY_LIMIT
    )


def _azure(arrow: Any, _: str) -> Any:
    connection = _first("AZURE_STORAGE_CONNECTION_STRING")
    if connection is not None:
        return arrow.AzureFileSystem(**_azure_arguments(connection))
    account = _first("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
    if account is None:
        raise ValueError("AZURE_STORAGE_ACCOUNT names no account")
    key = _first("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY")
    token = _first("AZURE_STORAGE_SAS_TOKEN")
    return arrow.AzureFileSystem(account, account_key=key, sas_token=token)


def _azure_arguments(connection: str) -> dict[str, str | None]:
    """Convert a connection string of Azure's tools to arguments of AzureFileSystem.

    Raises ValueError if it names no account.
    """
    given = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
    scheme = given.get("DefaultEndpointsProtocol", "https")
    host = f".blob.{given.get('EndpointSuffix', 'core.windows.net')}"
    if "BlobEndpoint" in given:
        host, scheme = _address(given["BlobEndpoint"], scheme)
    account = given.get("AccountName") or host.partition(".blob.")[0]
    if not account or account == host:
        raise ValueError("AZURE_STORAGE_CONNECTION_STRING names no account: add AccountName=...")
    # A host that begins with a dot follows the account's name; other hosts have it in the path.
    host = host.removeprefix(account) if host.startswith(f"{account}.") else host
    return {
        "account_name": account,
        "account_key": given.get("AccountKey"),
        "sas_token": given.get("SharedAccessSignature"),
        "blob_storage_authority": host,
        "blob_storage_scheme": scheme,
        "dfs_storage_authority": host.replace(".blob.", ".dfs."),
        "dfs_storage_scheme": scheme,
    }


def _address(url: str, scheme: str) -> tuple[str, str]:
    """Return host and port of a server, and its scheme: that of the URL, else `scheme`."""
    parts = urlsplit(url if "://" in url else f"{scheme}://{url}")
    return parts.netloc, parts.scheme


def _first(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
