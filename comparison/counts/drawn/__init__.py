"""The requests and units that the flag drew, and their outcomes by assigned side."""
