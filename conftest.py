"""Load the fixtures that start real servers; pytest wants `pytest_plugins` at the root."""

pytest_plugins = ("tests.support.unleash.server", "tests.support.otlp_server")
