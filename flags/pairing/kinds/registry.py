"""The registration of kinds of answers: a name here is a module of that name in each layer."""

from importlib import import_module
from types import ModuleType
from typing import Final

from flags.pairing.kinds.kind import Column, Sameness

KINDS: Final = ("number", "category", "ranking", "text")
"""Besides `score`, a number with a threshold, by which all that is said of alarms is counted."""


def layer(package: str) -> dict[str, ModuleType]:
    """Return the modules of all kinds in a package, by kind."""
    return {kind: import_module(f"{package}.{kind}") for kind in KINDS}


def columns() -> dict[str, Column]:
    """Return what all kinds record of a side, by name, with the types of the columns."""
    modules = layer("flags.pairing.kinds").values()
    return {what: column for module in modules for what, column in module.COLUMNS.items()}


def samenesses() -> tuple[Sameness, ...]:
    """Return by what the answers of a kind are the same, of the kinds that know it."""
    modules = layer("flags.pairing.kinds").values()
    return tuple(module.SAMENESS for module in modules if module.SAMENESS is not None)
