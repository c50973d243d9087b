"""Read requests and answer the endpoints of the migration itself."""
