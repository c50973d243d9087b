"""The migrated BentoML service: one side answers, both are scored."""
