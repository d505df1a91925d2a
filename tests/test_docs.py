"""Links between the pages of the docs lead to files and headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
HERE = "https://github.com/hatch-wazcache/hatch-wazcache/blob/main/"


def anchors(page: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the file and the anchor of each link of a page to a page of the project."""
    text = page.read_text("utf-8")
    found = re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    made = []
    for link in map("".join, found):
        folder = ROOT if link.startswith(HERE) else page.parent
        path, _, anchor = link.removeprefix(HERE).partition("#")
        if "://" not in path:
            made.append(((folder / path).resolve() if path else page, anchor))
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path):
    for path, anchor in links(page):
        assert path.exists(), (page.name, path)
        assert not anchor or anchor in anchors(path), (page.name, path.name, anchor)


def test_the_pages_have_many_links():
    found = [anchor for page in PAGES for _path, anchor in links(page)]
    assert len(found) > 40
    assert len([anchor for anchor in found if anchor]) > 15
