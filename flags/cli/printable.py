"""Text made safe for a terminal: some names come from the dashboard, the service or callers."""


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
