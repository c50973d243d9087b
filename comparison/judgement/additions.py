"""The inputs besides the pairs: labels, references of features, outcomes, preferences."""

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
    """The inputs besides the pairs; None: not given."""

    labels: Labels | None = None
    references: References | None = None
    outcomes: Outcomes | None = None
    preferences: Preferences | None = None

    def with_features(self, features: Iterable[str] | None) -> "Additions":
        """Return a copy with the references of these features only; None: of all features."""
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
        """Read the inputs. Raises the ComparisonError of an input that is not as expected."""
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
