import pytest


@pytest.fixture(autouse=True)
def _clean_environment(clean_environment: None) -> None:
    """Give each unit test an environment without this project's variables."""
