"""Flags in Unleash: the OpenFeature provider, the Admin API, a local server."""
