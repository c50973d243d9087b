"""The registry of kinds of answers: each name here is a module of that name in each layer."""

from importlib import import_module
from types import ModuleType
from typing import Final

from flags.pairing.kinds.kind import Column, Equality

KINDS: Final = ("number", "category", "ranking", "text")
"""The kinds besides `score`, a number with a threshold, which has modules for alarms instead."""


def layer(package: str) -> dict[str, ModuleType]:
    """Return the modules of all kinds in a package, by kind."""
    return {kind: import_module(f"{package}.{kind}") for kind in KINDS}


def columns() -> dict[str, Column]:
    """Return the types of the columns that the kinds record of a side, by name."""
    modules = layer("flags.pairing.kinds").values()
    return {name: column for module in modules for name, column in module.COLUMNS.items()}


def equalities() -> tuple[Equality, ...]:
    """Return the `EQUALITY` of each kind that has one."""
    modules = layer("flags.pairing.kinds").values()
    return tuple(module.EQUALITY for module in modules if module.EQUALITY is not None)
