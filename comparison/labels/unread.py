"""Labels in files that are read on first use, or stay in their files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from comparison.engines.kept.tables import KeptTables
from comparison.errors import LabelsUnreadableError
from comparison.labels.facts import FilesState, LabelFacts
from comparison.labels.files import find_label_files
from comparison.labels.in_memory import LabelsInMemory, read_labels
from comparison.labels.in_place import LabelsInPlace
from comparison.pairs.stores.folders import folder_at


@dataclass(slots=True)
class UnreadLabels:
    """Labels in files, read on first use; `LabelsInPlace` says which labels stay in their files."""

    path: str | Path
    values: Mapping[str, str]
    labels: "LabelsInMemory | LabelsInPlace | None" = None
    """None: not read yet, or released."""
    known: tuple[FilesState, LabelFacts] | None = None
    """The state of the files when they were read, and the facts found then."""

    def facts(self, kept: KeptTables) -> LabelFacts:
        """Return the facts, with the digest: the kept ones, if the files have not changed."""
        state = self._state() if self.labels is None else None
        if state is not None and (facts := state.read(kept)) is not None:
            self.known = state, facts
            return facts
        found = self.read().with_digest()
        if state is not None and self._state() == state:
            state.write(kept, found)
            self.known = state, found
        return found

    def release(self) -> bool:
        """Drop the labels, if the next read would notice a change; return whether it did so."""
        if isinstance(self.labels, LabelsInPlace):
            self.labels = replace(self.labels, hashes=None)
            return False
        if self.known is None:
            return False
        self.labels = None
        return True

    def read(self) -> "LabelsInMemory | LabelsInPlace":
        """Read the labels once. Raises LabelsUnreadableError if they differ from the facts."""
        if self.labels is None:
            state = self._state()
            found = self._open(state)
            if self.known is not None and state != self.known[0]:
                self._refuse_changed(found)
            if state is not None and isinstance(found, LabelsInPlace):
                self.known = state, found.facts
            self.labels = found
        return self.labels

    def verify(self) -> None:
        """Raise LabelsUnreadableError if labels that stay in their files have changed."""
        if not isinstance(self.labels, LabelsInPlace) or not self.known:
            return
        state = self._state()
        if state != self.known[0]:
            self._refuse_changed(self._open(state))

    def _open(self, state: FilesState | None) -> "LabelsInMemory | LabelsInPlace":
        """Leave labels in fit files, if a change would be noticed; else read them into memory."""
        in_place = None
        if state is not None:
            in_place = LabelsInPlace.of(find_label_files(folder_at(self.path)))
        return in_place or read_labels(self.path, values=self.values)

    def _refuse_changed(self, labels: "LabelsInMemory | LabelsInPlace") -> None:
        """Raise LabelsUnreadableError if the labels differ from the known facts."""
        if self.known and labels.with_digest().digest != self.known[1].digest:
            raise LabelsUnreadableError(
                self.path, "it changed while the pairs were counted; run this again"
            )

    def _state(self) -> FilesState | None:
        return FilesState.of(find_label_files(folder_at(self.path)), self.values)
