"""Builds the site from the Markdown of the repository, and serves it.

The pages are read on GitHub too, so they hold nothing that only Sphinx understands. This module
copies them into one folder, adds the navigation that the lists of `docs/index.md` name, and turns
links to other files of the repository into links to GitHub.

`make docs` builds and serves the site; `make docs-check` fails on every warning, such as a link to
a page or a heading that does not exist.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["build"]

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/hatch-wazcache/hatch-wazcache/blob/main/"

# The pages that stand outside of `docs`, where GitHub and packagers look for them.
OUTSIDE = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md")


def build(folder: Path, *, strict: bool = False) -> Path:
    """Build the site.

    Args:
        folder: the folder to fill; what it holds is removed.
        strict: fail if Sphinx gives a warning.

    Returns:
        The folder with the HTML.

    Raises:
        subprocess.CalledProcessError: Sphinx failed; it has printed why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    pages, html = folder / "pages", folder / "html"
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("*.py", "*.md", "__pycache__"))
    shutil.copytree(DOCS / "site", pages, dirs_exist_ok=True)
    shutil.rmtree(pages / "site")
    for page in [*DOCS.glob("*.md"), *(ROOT / name for name in OUTSIDE)]:
        (pages / page.name).write_text(_for_the_site(page), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "--keep-going", *(["-W"] if strict else []),
         str(pages), str(html)],
        check=True, cwd=ROOT,
    )  # fmt: skip
    return html


def _for_the_site(page: Path) -> str:
    """Return the text of a page, with the links and the navigation of the site."""
    text = page.read_text(encoding="utf-8")
    link = re.compile(r"(?<=\]\()[^)\s]+(?=\))|(?<=\]: )\S+$", re.MULTILINE)
    text = link.sub(lambda found: _link(page, found[0]), text)
    return text + _navigation(text) if page == DOCS / "index.md" else text


def _link(page: Path, link: str) -> str:
    """Return a link of the site: to its page, its picture, or the file on GitHub."""
    path, mark, anchor = link.removeprefix(REPOSITORY).partition("#")
    if "://" in path or not path:
        return link
    folder = ROOT if link.startswith(REPOSITORY) else page.parent
    file = Path(os.path.normpath(folder / path))
    if file.parent == DOCS or (file.parent == ROOT and file.name in OUTSIDE):
        return f"{file.name}{mark}{anchor}"
    if file.is_relative_to(DOCS) and file.suffix == ".svg":
        return file.relative_to(DOCS).as_posix()
    return f"{REPOSITORY}{file.relative_to(ROOT).as_posix()}{mark}{anchor}"


def _navigation(index: str) -> str:
    """Return a hidden table of contents for each section of the index with a list of pages."""
    made = ""
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        pages = re.findall(r"^- \[[^\]]+\]\(([\w-]+)\.md\)", section, re.MULTILINE)
        if pages:
            title = section.partition("\n")[0]
            lines = "".join(f"{page}\n" for page in pages)
            made += f"\n```{{toctree}}\n:caption: {title}\n:hidden:\n\n{lines}```\n"
    return made


def _serve(folder: Path, port: int) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".work" / "site")
    parser.add_argument("--strict", action="store_true", help="fail on every warning")
    parser.add_argument("--serve", type=int, metavar="PORT", help="serve the site on this machine")
    options = parser.parse_args()
    try:
        site = build(options.folder, strict=options.strict)
        if options.serve is not None:
            _serve(site, options.serve)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        pass
