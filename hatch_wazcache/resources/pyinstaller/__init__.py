"""The PyInstaller hook: a frozen program gets wasmtime's library, and each package its artifacts.

PyInstaller finds the hook by the entry point `pyinstaller40`, if hatch-wazcache is installed beside
it. It is a hook of wasmtime, because PyInstaller looks for hooks by the names of modules, and every
program with a loader imports wasmtime.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.resources import companion_folder, is_loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["files_of_loaders", "hook_folders"]

_DEFAULT_MANIFEST = "_wazcache.json"
"""The name of the manifest in a package without a loader."""


def hook_folders() -> list[str]:
    """Return the folders with hooks. PyInstaller calls this."""
    return [os.path.dirname(__file__)]


def files_of_loaders(modules: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Find the files that the loaders in a program need at run time.

    A package without a loader may have a manifest, for the loader of a runtime package.

    Args:
        modules: the full name and the file of each module of the program.

    Yields:
        A file, and the folder in the program that it belongs to.
    """
    done = set()
    for name, file in modules:
        if os.path.basename(file) == "__init__.py":
            dotted, manifest = name, os.path.join(os.path.dirname(file), _DEFAULT_MANIFEST)
        elif file.endswith(".py") and is_loader(Path(file)):
            dotted, manifest = name.rpartition(".")[0], os.path.splitext(file)[0] + ".json"
        else:
            continue
        if manifest in done:
            continue
        done.add(manifest)
        package = dotted.replace(".", os.sep)
        yield from _files_of(manifest, package)
        companion = _read(manifest).get("companion")
        if companion is not None:
            # The loader looks for it beside the package.
            top = companion_folder(companion["name"])
            found = _in_companion(top, package, manifest)
            if found is not None:
                yield from _files_of(found, os.path.join(top, package))


def _in_companion(top: str, package: str, manifest: str) -> str | None:
    """Return the manifest of a companion: beside its package, or elsewhere on the import path."""
    root = os.path.dirname(manifest)
    for _ in package.split(os.sep):
        root = os.path.dirname(root)
    spec = find_spec(top)
    for folder in (os.path.join(root, top), *((spec and spec.submodule_search_locations) or ())):
        found = os.path.join(folder, package, os.path.basename(manifest))
        if os.path.isfile(found):
            return found
    return None


def _files_of(manifest: str, folder: str) -> Iterator[tuple[str, str]]:
    """Yield a manifest and every file that it names, with their folders in the program.

    Args:
        manifest: the path of the manifest.
        folder: its folder in the program.
    """
    for path in _named_by(manifest):
        file = os.path.join(os.path.dirname(manifest), path)
        # An editable install may have an asset outside of the package: it cannot be frozen.
        if not path.startswith("../") and os.path.isfile(file):
            yield file, os.path.dirname(os.path.join(folder, path))


def _read(manifest: str) -> dict[str, Any]:
    """Read a manifest. If it cannot be read, the loader says so when the program runs."""
    try:
        with open(manifest, "rb") as opened:
            read = json.load(opened)
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _named_by(manifest: str) -> Iterator[str]:
    """Yield the manifest and every file that it names, by their paths from its folder."""
    yield os.path.basename(manifest)
    for asset in _read(manifest).get("assets", {}).values():
        if asset["wasm"]:
            yield asset["wasm"]
        for artifact in asset["artifacts"]:
            yield artifact["file"]
