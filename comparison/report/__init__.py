"""The reports for people and programs: page, terminal, JSON."""
