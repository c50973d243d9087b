"""The real Unleash server on this machine, without Docker (extra `dashboard`)."""

from flags.unleash.local.unleash import LocalUnleash

__all__ = ["LocalUnleash"]
