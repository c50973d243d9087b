"""The commands as `python -m flags`, for a Bento's image, which holds only the source."""

from flags.cli import migration

if __name__ == "__main__":
    migration(prog_name="python -m flags")
