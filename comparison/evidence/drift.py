"""The drift of the recorded features against the training data.

A reference is stored with the model, under `REFERENCE` in its metadata. `bentoml models get TAG
--output json` prints it, and `References.read` reads that.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

from comparison.errors import ReferenceUnreadableError
from comparison.evidence.divergence import ks, psi
from comparison.evidence.joint_counts import counted
from flags.gate.evidence import Drift

REFERENCE: Final = "feature_reference"
"""Key in a model's metadata: {feature: {"edges": [...], "counts": [...], "missing": n}}."""

EDGES: Final = 50
"""Edges of a reference, at most: quantiles of the training values."""

MISSING: Final = -1
"""Bin of a value that is not there."""


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """Count the training values of a feature: bin i is [edges[i-1], edges[i]).

    There is one bin more than edges. `missing` counts the values that are not finite.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int = 0

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Count values of shape (n,) between their quantiles; what occurs often has its own bin."""
        given = np.asarray(values, dtype=np.float64).ravel()
        finite = given[np.isfinite(given)]
        if not finite.size:
            return cls((), (0,), len(given))
        marks = np.linspace(0, 1, EDGES)
        edges = np.unique(np.quantile(finite, marks, method="inverted_cdf"))
        bins = np.searchsorted(edges, finite, side="right")
        counts = np.bincount(bins, minlength=len(edges) + 1)
        return cls(tuple(edges.tolist()), tuple(counts.tolist()), len(given) - len(finite))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Take what `as_plain` returned; ValueError or KeyError if it cannot be that."""
        edges = tuple(float(edge) for edge in plain["edges"])
        counts = tuple(int(count) for count in plain["counts"])
        missing = int(plain.get("missing", 0))
        if len(counts) != len(edges) + 1:
            raise ValueError(f"{len(edges)} edges need {len(edges) + 1} counts, not {len(counts)}")
        if not all(map(math.isfinite, edges)) or list(edges) != sorted(set(edges)):
            raise ValueError("edges must be finite and ascending")
        if min(*counts, missing, 0) < 0:
            raise ValueError("counts must not be negative")
        return cls(edges, counts, missing)

    def as_plain(self) -> dict[str, Any]:
        """Return what JSON and a model's metadata can hold."""
        return {"edges": list(self.edges), "counts": list(self.counts), "missing": self.missing}


@dataclass(frozen=True, slots=True)
class References:
    """Hold the references of a model's features; `model` is its tag."""

    model: str
    features: Mapping[str, FeatureReference]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `bentoml models get TAG --output json` has printed into a file.

        Raises ReferenceUnreadableError.
        """
        try:
            model = orjson.loads(path.read_bytes())
            tag = f"{model['name']}:{model['version']}"
            stored = model["metadata"][REFERENCE].items()
            features = {name: FeatureReference.from_plain(plain) for name, plain in stored}
        except OSError as error:
            raise ReferenceUnreadableError(path, error.strerror or str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            raise ReferenceUnreadableError(path, said) from error
        return cls(tag, features)

    @property
    def edges(self) -> dict[str, tuple[float, ...]]:
        """Return the edges between which the features must be counted."""
        return {name: reference.edges for name, reference in self.features.items()}


def drift(
    features: pd.DataFrame, edges: Mapping[str, tuple[float, ...]], references: References
) -> tuple[Drift, ...]:
    """Compare the features that a reference is there for, in its order.

    `features` and `edges` are those of `Aggregates`. A feature that was not recorded is left out;
    one that was counted between other edges has no figures.
    """
    found = []
    for name, reference in references.features.items():
        rows = features.loc[features["feature"] == name]
        if rows.empty:
            continue
        bins, n = rows["bin"].to_numpy(np.int64), rows["n"].to_numpy(np.int64)
        there = bins != MISSING
        same = tuple(edges.get(name, ())) == reference.edges
        now = counted(bins[there], n[there], len(reference.edges) + 1) if same else None
        then = np.array(reference.counts, dtype=np.int64)
        found.append(
            Drift(
                feature=name,
                pairs=int(n.sum()),
                missing=int(n[~there].sum()),
                psi=None if now is None else psi(then, now),
                ks=None if now is None else ks(then, now),
                model=references.model,
            )
        )
    return tuple(found)
