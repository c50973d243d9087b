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
from comparison.evidence.joint_counts import sum_by_bin
from flags.gate.evidence import Drift

REFERENCE: Final = "feature_reference"
"""Key in a model's metadata: {feature: {"edges": [...], "counts": [...], "missing": n}}."""

EDGES: Final = 50
"""Largest number of edges of a reference; they are quantiles of the training values."""

MISSING: Final = -1
"""Bin of missing values."""


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """Counts of the training values of a feature: bin i is [edges[i-1], edges[i]).

    There is one bin more than edges. `missing` counts the values that are not finite.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int = 0

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Count values of shape (n,) between their quantiles; frequent values get their own bin."""
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
        """Convert the result of `as_plain`. Raises ValueError or KeyError for anything else."""
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
        """Return a dict that fits into JSON and a model's metadata."""
        return {"edges": list(self.edges), "counts": list(self.counts), "missing": self.missing}


@dataclass(frozen=True, slots=True)
class References:
    """The references of a model's features; `model` is its tag."""

    model: str
    features: Mapping[str, FeatureReference]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file with the output of `bentoml models get TAG --output json`.

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
        """Return the edges of the bins by which each feature must be counted."""
        return {name: reference.edges for name, reference in self.features.items()}


def drift(
    features: pd.DataFrame, edges: Mapping[str, tuple[float, ...]], references: References
) -> tuple[Drift, ...]:
    """Compare each feature that has a reference, in the order of the references.

    `features` and `edges` are `features` and `feature_edges` of `Aggregates`. A feature that was
    not recorded is left out; a feature that was counted between other edges has no figures.
    """
    found = []
    for name, reference in references.features.items():
        rows = features.loc[features["feature"] == name]
        if rows.empty:
            continue
        bins, n = rows["bin"].to_numpy(np.int64), rows["n"].to_numpy(np.int64)
        known = bins != MISSING
        same = tuple(edges.get(name, ())) == reference.edges
        now = sum_by_bin(bins[known], n[known], len(reference.edges) + 1) if same else None
        then = np.array(reference.counts, dtype=np.int64)
        found.append(
            Drift(
                feature=name,
                pairs=int(n.sum()),
                missing=int(n[~known].sum()),
                psi=None if now is None else psi(then, now),
                ks=None if now is None else ks(then, now),
                model=references.model,
            )
        )
    return tuple(found)
