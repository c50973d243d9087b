"""Offer the commands as `python -m flags`, where there is only the source: in a Bento's image."""

from flags.cli import migration

if __name__ == "__main__":
    migration(prog_name="python -m flags")
