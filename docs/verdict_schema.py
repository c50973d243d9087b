"""Write `docs/reference/verdict.schema.json` from the code: `python docs/verdict_schema.py`."""

from pathlib import Path
from typing import Final

import orjson

from comparison.verdict_document import schema

PAGE: Final = Path(__file__).parent / "reference" / "verdict.schema.json"


def page() -> str:
    """Return the schema as it is published."""
    return orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
