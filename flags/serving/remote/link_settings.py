"""The settings of the link to a remote candidate."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Limits and credentials of a link."""

    check_interval: float = 10.0
    failures: int = 10
    token: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def tls(self) -> ssl.SSLContext:
        """Return the TLS context of connections; raises OSError that names the unusable files."""
        files = [each for each in (self.ca_file, self.cert_file, self.key_file) if each is not None]
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # its message has no file name
            raise OSError(f"{', '.join(map(str, files))}: {error}") from None
        return context
