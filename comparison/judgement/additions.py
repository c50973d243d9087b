"""What is handed in beside the pairs: labels, references of features, outcomes, preferences."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from comparison.evidence.drift import References
from comparison.inputs.data_frames import Rows
from comparison.judges.preferences import Preferences, load_preferences
from comparison.labels import LabelFiles, Labels
from comparison.outcomes import Outcomes, load_outcomes, unit_key


@dataclass(frozen=True, slots=True)
class Additions:
    """Hold what comes from elsewhere than the pairs; None is not there."""

    labels: Labels | None = None
    references: References | None = None
    outcomes: Outcomes | None = None
    preferences: Preferences | None = None

    def about(self, features: Iterable[str] | None) -> "Additions":
        """Return these with the references of some features only; all if that is None."""
        if features is None or self.references is None:
            return self
        wanted = set(features)
        kept = {name: each for name, each in self.references.features.items() if name in wanted}
        return replace(self, references=replace(self.references, features=kept))

    @classmethod
    def read(
        cls,
        labels: str | Path | Rows | LabelFiles | None,
        reference: Path | None,
        outcomes: str | Path | Rows | None = None,
        preferences: str | Path | Rows | None = None,
    ) -> "Additions":
        """Read what is given. Raises a ComparisonError if it is not what it should be."""
        return cls(
            _labels(labels),
            References.read(reference) if reference else None,
            None if outcomes is None else load_outcomes(outcomes, unit_key()),
            None if preferences is None else load_preferences(preferences),
        )


def _labels(place: str | Path | Rows | LabelFiles | None) -> Labels | None:
    if place is None:
        return None
    return (place if isinstance(place, LabelFiles) else LabelFiles(place)).read()
