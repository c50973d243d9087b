"""A rehearsal: a whole migration in compressed time, with the real programs (`make rehearsal`)."""
