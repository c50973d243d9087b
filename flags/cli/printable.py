"""Make text safe for a terminal: names come from the dashboard, the service and its callers."""


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
