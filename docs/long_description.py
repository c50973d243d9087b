"""Lead the links of a README to a repository, for a package index that shows it alone.

`python docs/long_description.py README.md https://example.com/project/blob/main` rewrites the file;
without an address it stays as it is.
"""

import re
import sys
from pathlib import Path

_LINK = re.compile(r"(?P<image>!?)\[(?P<label>[^\[\]]+)\]\((?P<path>(?![a-z]+:|#)[^()<>\s]+)\)")


def led(text: str, repository: str) -> str:
    """Return a text whose relative links are absolute; an image is led to its bytes."""
    pages = repository.rstrip("/")
    files = pages.replace("/blob/", "/raw/")

    def absolute(link: re.Match[str]) -> str:
        root = files if link["image"] else pages
        return f"{link['image']}[{link['label']}]({root}/{link['path']})"

    return _LINK.sub(absolute, text)


if __name__ == "__main__":
    path, address = Path(sys.argv[1]), sys.argv[2]
    if address:
        path.write_text(led(path.read_text(encoding="utf-8"), address), encoding="utf-8")
