"""Load the fixtures that start real servers; pytest wants `pytest_plugins` at the root."""

pytest_plugins = ("tests.integration.unleash_server", "tests.integration.otlp_server")
