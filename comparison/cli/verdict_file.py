"""The file of the latest verdict, which the live page and others may read at any time."""

from dataclasses import dataclass
from pathlib import Path

from comparison.judgement.judgement import Judgement
from comparison.report.verdict_document import VerdictDocument
from flags.files import replace_file
from flags.gate.evidence import Evidence
from flags.monitoring.verdict_place import verdict_path


def write_beside(pairs: str | Path, evidence: Evidence, judgement: Judgement) -> str | None:
    """Write the verdict beside the pairs, where the live page reads it, if they are in a folder.

    Returns a problem in words, which is no error: with a read-only folder, only the page lacks the
    verdict.
    """
    if isinstance(pairs, str) or not pairs.is_dir():
        return None
    return VerdictFile(verdict_path(pairs, evidence.window.flag)).write(evidence, judgement)


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """A file that each verdict replaces, whole or not at all."""

    path: Path

    def write(self, evidence: Evidence, judgement: Judgement) -> str | None:
        """Replace the file; return a problem in words, which is no error."""
        content = VerdictDocument.of(evidence, judgement).json() + b"\n"
        try:
            replace_file(self.path, content)
        except OSError as error:
            return f"{self.path} cannot be written: {error.strerror or error}"
        return None
