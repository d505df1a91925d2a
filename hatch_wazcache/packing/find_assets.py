"""Finds the `.wasm` files that a project declares with globs."""

from __future__ import annotations

import os
import sys
from functools import cache, partial
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import check_wasm
from hatch_wazcache.packing.globs import matching
from hatch_wazcache.project.packages import DeclaredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_wazcache.project.config import Config

__all__ = ["find_assets", "find_checked_assets", "matching_files"]

_NAMES_SHOWN = 3
"""How many `.wasm` files a message lists."""

_NO_SOURCES = ("__pycache__", "build", "dist", "node_modules")
"""Folders that such a list leaves out."""


def find_assets(config: Config, root: Path, without: Path | None = None) -> Iterator[DeclaredFile]:
    """Find the declared files.

    Args:
        config: the options.
        root: the project's root.
        without: a folder of the build system, which may hold copies of assets.

    Yields:
        Each file once, sorted by its path.

    Raises:
        WazcacheError: a glob matches no file, or a file outside the root.
    """
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    real_root, real_folder = os.path.realpath(root), cache(os.path.realpath)
    for pattern in config.assets:
        matches = [
            relative
            for relative in matching_files(root, pattern.glob)
            if without is None or not (root / relative).is_relative_to(without)
        ]
        if not matches:
            problems.append(
                f'{config.where("assets")}: "{pattern.glob}" matches no file in {root}; '
                f"{_advice(root)}"
            )
        for relative in matches:
            path = os.path.join(root, relative)
            if os.path.islink(path):
                real = os.path.realpath(path)  # Path.resolve raises for a link to itself
            else:
                folder, name = os.path.split(path)
                real = os.path.join(real_folder(folder), name)
            if not real.startswith(os.path.join(real_root, "")):
                problems.append(
                    f"{relative}: leads out of the project's root, to {real}; "
                    "copy the file into the project"
                )
            found[relative] = tuple(dict.fromkeys((*found.get(relative, ()), *pattern.profiles)))
    if problems:
        raise WazcacheError("\n".join(problems))
    for relative in sorted(found):
        yield DeclaredFile(root / relative, relative, found[relative])


def find_checked_assets(
    config: Config, root: Path, without: Path | None = None
) -> list[DeclaredFile]:
    """Find the declared files for an sdist, which must not hold a file that no wheel can use.

    Args:
        config: the options.
        root: the project's root.
        without: a folder of the build system, which may hold copies of assets.

    Raises:
        WazcacheError: as for `find_assets`, or a file is not a complete WebAssembly binary.
    """
    files, problems = list(find_assets(config, root, without)), []
    for file in files:
        try:
            check_wasm(file.path, file.relative)
        except WazcacheError as error:
            problems.append(str(error))
    if problems:
        raise WazcacheError("\n".join(problems))
    return files


def matching_files(root: Path, glob: str) -> list[str]:
    """Return the relative paths that a glob matches. As in a shell, `*` matches no hidden name.

    Upper and lower case count on every system: else a wheel would hold a file under two names.
    """
    is_spelled = partial(_is_spelled_so, root, cache(_names_in))
    if os.path.lexists(root / glob):  # a file whose name looks like a pattern
        return list(filter(is_spelled, [str(PurePosixPath(glob))]))
    hidden = any(part.startswith(".") for part in PurePosixPath(glob).parts)
    matches = []
    if glob.endswith("**"):
        glob += "/*"  # before Python 3.13, `**` matches folders only
    try:
        paths = list(root.glob(glob))
    except (ValueError, NotImplementedError, OSError, RecursionError):
        return []  # not a pattern, such as "**x", or too long for the system
    beginning = os.path.join(root, "")
    for path in paths:
        relative = str(path).removeprefix(beginning).replace(os.sep, "/")
        if not hidden and (relative.startswith(".") or "/." in relative):
            continue
        if path.suffix != ".wasm" and path.is_dir():
            continue
        matches.append(relative)
    if sys.platform == "win32":
        matches = matching(matches, glob)  # there `*.WASM` has also found `a.wasm`
    return list(filter(is_spelled, matches))


def _is_spelled_so(root: Path, names_in: Callable[[str], set[str]], relative: str) -> bool:
    """Say whether a path is written as on the disk. Windows and macOS also find `A.wasm` by `a`.

    Windows even finds `a.wasm` by `a.wasm.`, with a dot behind it.
    """
    folder = os.fspath(root)
    for name in relative.split("/"):
        names = names_in(folder)
        if names and name not in (".", "..") and name not in names:
            return False
        folder = os.path.join(folder, name)
    return True


def _names_in(folder: str) -> set[str]:
    """Return the names in a folder; none if it cannot be listed."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _advice(root: Path) -> str:
    """Return advice for a glob that matches nothing, with some `.wasm` files of the project."""
    names = list(islice(_wasm_files(root), _NAMES_SHOWN + 1))
    if not names:
        return "there is no .wasm file: generate it, or check it out, before this build"
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return f"correct the pattern, or generate the file before this build; there are {shown}"


def _wasm_files(root: Path) -> Iterator[str]:
    for name, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in _NO_SOURCES and not f.startswith("."))
        for file in sorted(files):
            if file.endswith(".wasm") and os.path.join(name, file).isprintable():
                yield os.path.relpath(os.path.join(name, file), root).replace(os.sep, "/")
