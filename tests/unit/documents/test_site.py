"""The documents build as a site without a warning, and one can get from each page to each other."""

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import comparison
import flags
from tests.support.markdown import DOCS
from tests.support.paths import ROOT

pytest.importorskip("sphinx", reason="the dependency group `docs` is not installed")

REPOSITORY = "https://code.example.com/project/blob/main"


def build(folder: Path, **environment: str) -> Path:
    """Build the site with warnings as errors; return its folder."""
    site = folder / "site"
    built = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *("--builder", "html", "--doctree-dir", str(folder / "doctrees"), str(DOCS), str(site)),
        ],
        env={**os.environ, "DOCS_REPOSITORY": "", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return site


@dataclass
class Html(HTMLParser):
    """What a built page links to, loads, and can be linked to at."""

    path: Path
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    navigation: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if "reference internal" in given.get("class", ""):
                self.navigation.append(given["href"])
        if tag in ("script", "img", "iframe", "object") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    return {path: Html(path) for path in sorted(site.rglob("*.html"))}


def targets(page: Html, links: list[str]) -> Iterator[tuple[str, Path, str]]:
    """Yield each link that stays in the site, with the file and the anchor that it leads to."""
    for link in links:
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            file = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            yield link, file, unquote(parts.fragment)


def test_each_document_becomes_a_page(site: Path) -> None:
    for document in DOCS.rglob("*.md"):
        assert (site / document.relative_to(DOCS).with_suffix(".html")).is_file()


def test_each_page_is_reached_from_the_first_by_the_navigation(
    site: Path, pages: dict[Path, Html]
) -> None:
    seen, waiting = set[Path](), [site / "index.html"]
    while waiting:
        if (path := waiting.pop()) not in seen:
            seen.add(path)
            found = targets(pages[path], pages[path].navigation)
            waiting += [file for _, file, _ in found if file.suffix == ".html"]
    assert seen >= {
        site / document.relative_to(DOCS).with_suffix(".html") for document in DOCS.rglob("*.md")
    }


def test_each_link_within_the_site_leads_to_a_page_and_a_place_on_it(
    pages: dict[Path, Html],
) -> None:
    checked = 0
    for page in pages.values():
        for link, file, anchor in targets(page, page.links):
            assert file.is_file(), f"{page.path.name}: {link}"
            if anchor and file.suffix == ".html":
                assert anchor in pages[file].anchors, f"{page.path.name}: {link}"
            checked += 1
    assert checked > len(pages)


def test_a_page_loads_nothing_from_elsewhere(pages: dict[Path, Html]) -> None:
    for page in pages.values():
        local = [file for _, file, _ in targets(page, page.loaded)]
        assert len(local) == len(page.loaded), page.path.name
        assert all(file.is_file() for file in local), page.path.name


def test_a_file_outside_of_the_documents_is_part_of_the_site(
    pages: dict[Path, Html], site: Path
) -> None:
    page = pages[site / "reference" / "metrics.html"]
    (alerts,) = (file for _, file, _ in targets(page, page.links) if file.name == "alerts.yaml")
    assert alerts.read_bytes() == (ROOT / "deploy" / "alerts.yaml").read_bytes()


@pytest.mark.slow
def test_it_is_a_link_into_the_repository_if_its_address_is_known(tmp_path: Path) -> None:
    site = build(tmp_path, DOCS_REPOSITORY=REPOSITORY + "/")
    page = Html(site / "reference" / "metrics.html")
    assert f"{REPOSITORY}/deploy/alerts.yaml" in page.links
    assert not [link for link in page.links if link.endswith("alerts.yaml") and "_downl" in link]


def test_each_decision_is_in_the_list_of_decisions_under_its_title() -> None:
    listed = re.findall(
        r"^- \[(\d{4})\]\(adr/(.+)\): (.+)$", (DOCS / "decisions.md").read_text("utf-8"), re.M
    )
    for (number, file, title), path in zip(
        listed, sorted((DOCS / "adr").glob("*.md")), strict=True
    ):
        assert path.name == file
        assert path.read_text(encoding="utf-8").startswith(f"# {number}: {title}\n")


def test_each_public_name_is_on_the_page_of_the_python_api(pages: dict[Path, Html]) -> None:
    (page,) = (each for path, each in pages.items() if path.name == "api.html")
    for package in (flags, comparison):
        for name in package.__all__:
            assert f"{package.__name__}.{name}" in page.anchors, name
            assert getattr(package, name).__doc__, name


def test_the_index_for_programs_is_what_its_script_writes() -> None:
    """Run `python docs/llms.py` after a change of docs/index.md."""
    script = runpy.run_path(str(DOCS / "llms.py"))
    text = script["PAGE"].read_text(encoding="utf-8")
    assert text == script["page"]()
    listed = re.findall(r"^- \[.+?\]\((.+?)\): ", text, re.M)
    assert len(listed) == len(re.findall(r"^- ", (DOCS / "index.md").read_text("utf-8"), re.M))
    assert all((ROOT / path).is_file() for path in listed)
