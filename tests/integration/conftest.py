import os
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def transactions_path() -> Path:
    """Return the handbook's transactions, in the folder SHARED_DATA or beside the checkout."""
    folder = Path(os.environ.get("SHARED_DATA", SHARED_DATA))
    path = folder / "transactions-apr-jul.parquet"
    if not path.is_file():
        pytest.skip(
            f"the handbook's transactions are not at {path} (SHARED_DATA=FOLDER make test-all)"
        )
    return path
