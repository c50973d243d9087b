"""Hold the plan of a migration: its model, its file, its template."""
