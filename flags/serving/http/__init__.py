"""The HTTP layer: request middleware, and the endpoints of the migration itself."""
