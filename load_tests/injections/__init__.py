"""What does the harm: each injection does it on entering, and lifts it on leaving."""
