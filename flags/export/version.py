"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _installed() -> str:
    try:
        return version("bentoml-flags")
    except PackageNotFoundError:  # a Bento that carries the source, not the distribution
        return "0+source"


VERSION: Final = _installed()
