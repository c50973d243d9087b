"""Write llms.txt: the index of the documents for programs that read them (https://llmstxt.org).

The pages, their order and their descriptions are those of `docs/index.md`.
"""

import re
from pathlib import Path

DOCS = Path(__file__).parent
PAGE = DOCS.parent / "llms.txt"

_TITLE = re.compile(r"^# ([^\n]+)\n\n(.+?)\n\n", re.S)
_ENTRY = re.compile(r"^- \[(?P<title>.+?)\]\((?P<path>.+?)\): (?P<about>.+)$", re.M)


def page() -> str:
    """Return the file: a title, what the project is, and each section of the index."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    opening = _TITLE.match(text)
    assert opening, "docs/index.md begins with a title and what the project is"  # noqa: S101
    about = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", " ".join(opening[2].split()))
    parts = [f"# {opening[1]}", f"> {about}"]
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, body = section.partition("\n")
        entries = [
            f"- [{each['title']}](docs/{each['path']}): {each['about']}"
            for each in _ENTRY.finditer(body)
        ]
        if entries:
            parts += [f"## {title}", "\n".join(entries)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
