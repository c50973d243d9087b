"""The playbook of a migration: its model, its file, its template."""
