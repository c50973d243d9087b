"""The settings of a serving worker, from the environment, as each component takes them."""

from typing import Final

from flags.export.pair_files import FileLimits
from flags.export.shipped_file import ShippingLimits
from flags.pairing.limits import Limits
from flags.serving.declared_settings import DeclaredSettings
from flags.serving.remote.link_settings import LinkSettings
from flags.unleash.provider import FlagFile, FlagServer

_BATCHED_FACTOR: Final = 4
"""Multiple of SHADOW_CONCURRENCY for shadows that are scored in batches: those that arrive in half
a second."""


class Settings(DeclaredSettings):
    """Every setting of a serving worker, by environment variable of the same name in capitals."""

    @property
    def unit_secret(self) -> bytes | None:
        """Return the key of unit hashes, None if it is not set."""
        return None if self.unit_key is None else self.unit_key.get_secret_value().strip().encode()

    @property
    def flag_source(self) -> FlagServer | FlagFile:
        """Return the server if one is set, else the file."""
        if not self.unleash_url or self.unleash_api_token is None:
            return FlagFile(self.flags_file)
        return FlagServer(
            self.unleash_url,
            self.unleash_api_token.get_secret_value().strip(),  # files end in a line feed
            refresh_interval=self.flags_refresh_interval,
            request_timeout=self.flags_request_timeout,
            cache=self.flags_cache_dir,
            bootstrap=self.flags_bootstrap_file,
        )

    @property
    def sent_fields(self) -> tuple[str, ...]:
        """Return the context fields that requests may carry besides requestId."""
        own = {"userId": self.user_id_header, "sessionId": self.session_id_header}
        return (*(field for field, header in own.items() if header), *self.context_headers.values())

    @property
    def link(self) -> LinkSettings:
        """Return the limits of the link to a `Remote` candidate."""
        token = self.candidate_token
        return LinkSettings(
            check_interval=self.candidate_check_interval,
            failures=self.candidate_failures,
            token=None if token is None else token.get_secret_value().strip() or None,
            ca_file=self.candidate_ca_file,
            cert_file=self.candidate_cert_file,
            key_file=self.candidate_key_file,
        )

    @property
    def limits(self) -> Limits:
        """Return the limits of both sides."""
        return Limits(
            primary_timeout=self.primary_timeout,
            candidate_timeout=self.candidate_timeout,
            candidate_item_timeout=self.candidate_item_timeout,
            shadow_timeout=self.shadow_timeout,
            shadow_concurrency=self.shadow_concurrency,
            batched_concurrency=_BATCHED_FACTOR * self.shadow_concurrency,
        )

    @property
    def file_limits(self) -> FileLimits:
        """Return the limits of the pair files."""
        return FileLimits(
            flush_interval=self.pairs_flush_interval,
            rotate_bytes=self.pairs_rotate_bytes,
            max_bytes=self.pairs_max_bytes,
            queue_bytes=self.pairs_queue_bytes,
            compression=None if self.pairs_compression == "none" else self.pairs_compression,
        )

    @property
    def shipping_limits(self) -> ShippingLimits:
        """Return the limits of shipping to a collector."""
        return ShippingLimits(
            batch_pairs=self.pairs_ship_batch,
            batch_bytes=self.pairs_ship_batch_bytes,
            interval=self.pairs_ship_interval,
            longest_wait=self.pairs_ship_max_wait,
        )
