"""Fast reading of pair spans: many at a time, as text that is matched with patterns."""
