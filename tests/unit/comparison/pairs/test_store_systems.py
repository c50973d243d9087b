"""Each object store takes the environment variables of its own tools, and no access hangs."""

import pytest
from pyarrow.fs import AzureFileSystem, GcsFileSystem, S3FileSystem

from comparison.errors import StoreUnreadableError
from comparison.pairs.stores.folders import folder_at
from comparison.pairs.stores.systems import _RETRY_LIMIT, file_system

KEY = "c2VjcmV0"
AZURITE = "127.0.0.1:10000"


@pytest.fixture(autouse=True)
def no_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("STORAGE_EMULATOR_HOST", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (
            f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};"
            "EndpointSuffix=core.windows.net",
            AzureFileSystem("shop", account_key=KEY),
        ),
        (
            f"AccountName=shop;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn",
            AzureFileSystem(
                "shop",
                account_key=KEY,
                blob_storage_authority=".blob.core.chinacloudapi.cn",
                dfs_storage_authority=".dfs.core.chinacloudapi.cn",
            ),
        ),
        (
            "BlobEndpoint=https://shop.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D",
            AzureFileSystem("shop", sas_token="sv=1&sig=a%3D"),  # noqa: S106 - of no account
        ),
        (
            f"AccountName=shop;AccountKey={KEY};BlobEndpoint=http://{AZURITE}/shop;",
            AzureFileSystem(
                "shop",
                account_key=KEY,
                blob_storage_authority=AZURITE,
                blob_storage_scheme="http",
                dfs_storage_authority=AZURITE,
                dfs_storage_scheme="http",
            ),
        ),
    ],
    ids=["key", "other cloud", "signature", "server"],
)
def test_a_connection_string_of_azure_is_taken(
    connection: str, expected: AzureFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    assert file_system("az", "container").equals(expected)
    other = AzureFileSystem("another", account_key=KEY)
    assert not file_system("az", "container").equals(other)


def test_a_connection_string_without_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountKey={KEY}")
    with pytest.raises(StoreUnreadableError, match="names no account: add AccountName=") as said:
        folder_at("az://container/pairs")
    assert KEY not in str(said.value)


def test_another_server_is_taken_for_googles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "localhost:9000")
    assert file_system("gs", "bucket").equals(
        GcsFileSystem(
            anonymous=True,
            endpoint_override="localhost:9000",
            scheme="http",
            retry_time_limit=_RETRY_LIMIT,
        )
    )


def test_another_server_is_taken_for_amazons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    assert file_system("s3", "bucket").equals(
        S3FileSystem(region="eu-west-1", endpoint_override="localhost:9000", scheme="http")
    )
