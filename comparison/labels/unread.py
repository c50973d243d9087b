"""Labels of files that are read when they are asked for, or left where they lie."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from comparison.engines.kept.tables import KeptTables
from comparison.errors import LabelsUnreadableError
from comparison.labels.facts import FilesSeen, LabelFacts
from comparison.labels.files import find_label_files
from comparison.labels.in_memory import LabelsInMemory, read_labels
from comparison.labels.in_place import LabelsInPlace
from comparison.pairs.stores.folders import folder_at


@dataclass(slots=True)
class UnreadLabels:
    """Read files when their labels are asked for, or leave them where they lie."""

    path: str | Path
    values: Mapping[str, str]
    held: "LabelsInMemory | LabelsInPlace | None" = None
    known: tuple[FilesSeen, LabelFacts] | None = None
    """What tells that they are the same, and what was found in them."""

    def facts(self, kept: KeptTables) -> LabelFacts:
        """Return the facts with the digest: what is kept of these files, if they are the same."""
        seen = self._seen() if self.held is None else None
        if seen is not None and (facts := seen.read(kept)) is not None:
            self.known = seen, facts
            return facts
        found = self.read().with_digest()
        if seen is not None and self._seen() == seen:
            seen.write(kept, found)
            self.known = seen, found
        return found

    def release(self) -> bool:
        """Hold them no longer, if other ones would be noticed when they are read again."""
        if isinstance(self.held, LabelsInPlace):
            self.held = replace(self.held, hashes=None)
            return False
        if self.known is None:
            return False
        self.held = None
        return True

    def read(self) -> "LabelsInMemory | LabelsInPlace":
        """Read them once. Raises LabelsUnreadableError if they are not those that were kept."""
        if self.held is None:
            seen = self._seen()
            found = self._look(seen)
            if self.known is not None and seen != self.known[0]:
                self._refuse_others(found)
            if seen is not None and isinstance(found, LabelsInPlace):
                self.known = seen, found.facts
            self.held = found
        return self.held

    def verify(self) -> None:
        """Raise LabelsUnreadableError where labels that stay in their files are others now."""
        if not isinstance(self.held, LabelsInPlace) or not self.known:
            return
        seen = self._seen()
        if seen != self.known[0]:
            self._refuse_others(self._look(seen))

    def _look(self, seen: FilesSeen | None) -> "LabelsInMemory | LabelsInPlace":
        """Leave them in their files if these are fit for it, and a change would be noticed."""
        place = None
        if seen is not None:
            place = LabelsInPlace.of(find_label_files(folder_at(self.path)))
        return place or read_labels(self.path, values=self.values)

    def _refuse_others(self, found: "LabelsInMemory | LabelsInPlace") -> None:
        """Raise LabelsUnreadableError where other labels have come since they were looked at."""
        if self.known and found.with_digest().digest != self.known[1].digest:
            raise LabelsUnreadableError(
                self.path, "it changed while the pairs were counted; run this again"
            )

    def _seen(self) -> FilesSeen | None:
        return FilesSeen.of(find_label_files(folder_at(self.path)), self.values)
