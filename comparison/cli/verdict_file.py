"""The file of the latest verdict, which others such as the live page may read at any time."""

from dataclasses import dataclass
from pathlib import Path

from comparison.judgement.judgement import Judgement
from comparison.report.verdict_document import VerdictDocument
from flags.files import replace_file
from flags.gate.evidence import Evidence
from flags.monitoring.verdict_place import verdict_path


def leave_beside(pairs: str | Path, evidence: Evidence, judgement: Judgement) -> str | None:
    """Leave the verdict where the live page finds it, if the pairs are in a folder.

    Returns what went wrong in words: a folder that is read-only costs the page its verdict alone.
    """
    if isinstance(pairs, str) or not pairs.is_dir():
        return None
    return VerdictFile(verdict_path(pairs, evidence.window.flag)).write(evidence, judgement)


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """Write each verdict to one file, whole or not at all."""

    path: Path

    def write(self, evidence: Evidence, judgement: Judgement) -> str | None:
        """Replace what is there; return what went wrong in words, which holds nothing up."""
        content = VerdictDocument.of(evidence, judgement).json() + b"\n"
        try:
            replace_file(self.path, content)
        except OSError as error:
            return f"{self.path} cannot be written: {error.strerror or error}"
        return None
