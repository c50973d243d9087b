"""Keep pictures of what a test saw, where somebody wants to look at them."""

import os
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

SCREENSHOTS: Final = os.environ.get("SCREENSHOTS")
"""Folder for the pictures; none are taken without it."""


def picture(page: Page, name: str, *, full_page: bool = True) -> None:
    """Take a picture of a page, or of the part that the window shows."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=full_page)
