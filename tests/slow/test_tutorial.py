"""The tutorial: every file is written, and every command is run, from the top to the end."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.support.package_index import package_index
from tests.support.pages import Shell, all_blocks, check_output, messages, outputs, read_page


def test_the_tutorial_leads_from_an_empty_folder_to_an_upload(own_wheel: Path, tmp_path: Path):
    links = f"{own_wheel.parent} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    with package_index() as (address, uploaded):
        shell = Shell(
            tmp_path,
            {
                "PIP_FIND_LINKS": links, "UV_FIND_LINKS": links.replace(" ", ","),
                "WAZCACHE_DIR": str(tmp_path / "cache"), "HATCH_DATA_DIR": str(tmp_path / "hatch"),
                "TWINE_REPOSITORY_URL": f"{address}/legacy/", "TWINE_USERNAME": "__token__",
                "TWINE_PASSWORD": "a token", "COLUMNS": "80", "LC_ALL": "C",
            },
        )  # fmt: skip
        written = _play(shell, address)
        shell.close()
        assert len([name for name in uploaded if name.endswith(".whl")]) == 7
        assert [name for name in uploaded if name.endswith(".tar.gz")]
    assert written == [
        "make_wasm.py", "pyproject.toml", "src/collatz/__init__.py", ".gitignore", "pyproject.toml",
    ]  # fmt: skip


def _play(shell: Shell, address: str) -> list[str]:
    """Do what the page says; return the names of the files that it had written."""
    written, pyproject = [], ""
    for block in all_blocks(read_page("docs/tutorial.md")):
        if block.language == "console":
            for command, shown in outputs(block.text):
                printed = shell.run(command.replace("https://test.pypi.org", address))
                if "-m build" in command:  # build itself prints much more
                    assert messages(printed) == messages(shown)
                else:
                    check_output(shown, printed)
            continue
        name = re.search(r"`([\w./]+)`", block.before)[1]
        text = block.text
        if name == "pyproject.toml":
            # Later on the page, a table takes the place of the one with its name.
            pyproject = text = pyproject.partition(text.partition("\n")[0])[0] + text
        shell.write(name, text)
        written.append(name)
    return written
