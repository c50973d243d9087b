"""The file of the latest verdict, which others such as the live page may read at any time."""

from dataclasses import dataclass
from pathlib import Path

from comparison.judgement.judgement import Judgement
from comparison.report.verdict_document import VerdictDocument
from flags.files import replace_file
from flags.gate.evidence import Evidence


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
