"""Play a whole migration, time compressed, against the real programs: `make rehearsal`."""
