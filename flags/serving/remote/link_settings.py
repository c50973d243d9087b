"""The settings of the link to a server that is the candidate."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Limits of a link, and what it takes to get in."""

    check_interval: float = 10.0
    failures: int = 10
    token: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def tls(self) -> ssl.SSLContext:
        """Return the context of connections; raises OSError that names the files it cannot use."""
        files = [each for each in (self.ca_file, self.cert_file, self.key_file) if each is not None]
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # which does not say the name
            raise OSError(f"{', '.join(map(str, files))}: {error}") from None
        return context
