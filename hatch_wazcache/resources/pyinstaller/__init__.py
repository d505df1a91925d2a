"""The PyInstaller hook: a frozen program gets wasmtime's library, and each package its artifacts.

PyInstaller finds the hook by the entry point `pyinstaller40`, if hatch-wazcache is installed beside
it. It is a hook of wasmtime, because PyInstaller looks for hooks by the names of modules, and every
program with a loader imports wasmtime.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.resources import is_loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["files_of_loaders", "hook_folders"]


def hook_folders() -> list[str]:
    """Return the folders with hooks. PyInstaller calls this."""
    return [os.path.dirname(__file__)]


def files_of_loaders(modules: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Find the files that the loaders in a program need at run time.

    Args:
        modules: the full name and the file of each module of the program.

    Yields:
        A file, and the folder in the program that it belongs to.
    """
    for name, file in modules:
        if not file.endswith(".py") or not is_loader(Path(file)):
            continue
        package = name.rpartition(".")[0].replace(".", os.sep)
        source = os.path.dirname(file)
        for path in _files_of(os.path.splitext(file)[0] + ".json"):
            # An editable install may have an asset outside of the package: it cannot be frozen.
            if not path.startswith("../") and os.path.isfile(os.path.join(source, path)):
                yield os.path.join(source, path), os.path.dirname(os.path.join(package, path))


def _files_of(manifest: str) -> Iterator[str]:
    """Yield the manifest and every file that it names, by their paths in the package."""
    yield os.path.basename(manifest)
    try:
        with open(manifest, "rb") as opened:
            assets = json.load(opened)["assets"].values()
    except (OSError, ValueError, KeyError):
        return  # the loader says so when the program runs
    for asset in assets:
        if asset["wasm"]:
            yield asset["wasm"]
        for artifact in asset["artifacts"]:
            yield artifact["file"]
