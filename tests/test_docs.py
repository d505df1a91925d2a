"""Links in the docs lead to files and headings that exist, and the options in them are right."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_wazcache.cache.remote.key_texts import PUBLIC, key_bytes
from hatch_wazcache.project.companion import order_note
from hatch_wazcache.project.options import read_config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.support.backends import BACKENDS
from tests.support.pages import all_blocks, read_page
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def tables(page: Path) -> list[tuple[str, dict]]:
    """Return the tables of options in the TOML of a page."""
    found = []
    text = page.read_text("utf-8")
    for block in re.findall(r"^ *```toml\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        tool = tomllib.loads(block).get("tool", {})
        hook = tool.get("hatch", {}).get("build", {}).get("hooks", {}).get("wazcache")
        found += [(block, table) for table in (hook, tool.get("wazcache")) if table]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_options_in_examples_are_right(page: Path):
    for block, table in tables(page):
        config = read_config(table, "tool.wazcache", {}, ROOT)
        if config.companion is not None:
            dependencies = tomllib.loads(block)["project"]["dependencies"]
            assert order_note(config.companion, dependencies) is None
            assert config.companion in dependencies


def test_the_pages_have_many_examples():
    assert sum(len(tables(page)) for page in PAGES) > 8


RUN_BY = {
    "CONTRIBUTING.md": "test_readme.py",
    "docs/any-backend.md": "test_readme.py",
    "docs/cache.md": "test_readme.py",
    "docs/init.md": "test_pages.py",
    "docs/options.md": "test_pages.py",
    "docs/remote-cache.md": "test_pages.py",
    "docs/targets.md": "test_readme.py",
    "docs/tutorial.md": "test_tutorial.py",
    "docs/wasmtime-versions.md": "test_companion_workflow.py",
    "docs/wheels.md": "test_readme.py",
}
"""The slow test that runs the console blocks of each page."""


def test_a_slow_test_runs_the_console_blocks_of_each_page():
    pages = {
        page.relative_to(ROOT).as_posix()
        for page in PAGES
        if any(block.language == "console" for block in all_blocks(page.read_text("utf-8")))
    }
    assert pages == set(RUN_BY)
    for page, test in RUN_BY.items():
        text = (ROOT / "tests" / "slow" / test).read_text("utf-8")
        assert Path(page).name in text, (page, test)


def test_the_index_of_the_site_lists_every_page():
    listed = re.findall(r"^- \[[^\]]+\]\(([\w-]+\.md)\)", read_page("docs/index.md"), re.MULTILINE)
    assert sorted([*listed, "index.md"]) == sorted(path.name for path in ROOT.glob("docs/*.md"))


def templates(folder: Path) -> Iterator[str]:
    """Yield the texts in the code of the package; `…` stands for what they fill in."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def quoted_messages() -> list[str]:
    """Return the messages in the first column of the tables of the page of troubleshooting."""
    cells = re.findall(r"^\| (.+?) \| ", read_page("docs/troubleshooting.md"), re.MULTILINE)
    return [cell[1:-1] for cell in cells if cell.startswith("`") and " " in cell]


def test_each_message_of_the_page_of_troubleshooting_exists():
    texts = list(templates(ROOT / "hatch_wazcache"))
    quoted = quoted_messages()
    assert len(quoted) > 90
    for message in quoted:
        pattern = re.compile(".*".join(map(re.escape, message.split("…"))))
        assert any(pattern.search(text) for text in texts), message


def test_each_error_of_the_loader_is_on_the_page_of_troubleshooting():
    loader = ROOT / "hatch_wazcache" / "resources"
    patterns = [".*".join(map(re.escape, one.split("…"))) for one in quoted_messages()]
    code = ast.parse((loader / "loader.py").read_text("utf-8"))
    raised = [
        "".join(part.value if isinstance(part, ast.Constant) else "…" for part in text.values)
        for call in ast.walk(code)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("LoadError", "_warn")
        for text in call.args
        if isinstance(text, ast.JoinedStr)
    ]
    assert len(raised) > 20
    worded = [one for one in raised if re.search(r"[a-z]{2}", one)]  # others only join two texts
    missing = [one for one in worded if not any(re.search(p, one) for p in patterns)]
    assert missing == []


def test_the_page_of_any_backend_has_the_command_of_each():
    text = (ROOT / "docs" / "any-backend.md").read_text("utf-8")
    shown = set(re.findall(r"^\| [\w, -]+ \| `([^`]+)`", text, re.MULTILINE))
    run = {" ".join(backend.front_end) for backend in BACKENDS.values()}
    assert {command.removeprefix("python -m ") for command in shown} == run


def test_the_public_keys_in_the_pages_are_keys():
    keys = {
        key
        for page in PAGES
        for key in re.findall(r"wazcache-public-[\w-]+", page.read_text("utf-8"))
    }
    assert len(keys) > 1
    for key in keys:
        assert key_bytes(key, PUBLIC) is not None, key
