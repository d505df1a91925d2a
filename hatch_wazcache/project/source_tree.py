"""Where the packages of a project lie, if its build backend cannot be asked.

This is an assumption. It holds for the layouts that the backends find without options, and for the
options that name a folder of packages.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from hatch_wazcache.project.packages import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["assumed_layout", "python_files", "source_folder"]

_FOLDERS = ("src", "python")
"""The usual folders of packages, which a wheel does not have."""

_OPTIONS_FOR_FOLDERS = (
    "tool.uv.build-backend.module-root",
    "tool.pdm.build.package-dir",
    "tool.maturin.python-source",
)

_OPTIONS_FOR_MODULES = (
    "tool.uv.build-backend.module-name",
    "tool.flit.module.name",
    "tool.maturin.module-name",
)

_NO_SOURCES = ("__pycache__", "build", "dist", "node_modules", "target")


def source_folder(root: Path, pyproject: Mapping[str, Any]) -> str:
    """Return the folder that has the packages, relative to the root; the root itself is `.`.

    It is the first folder with a package of the project's name, or of the name in the options; or
    else the first with any package. The folders are those in the options, the usual ones, the root.

    Args:
        root: the project's root.
        pyproject: the content of its `pyproject.toml`.
    """
    packages = _poetry_packages(pyproject)
    named = [*_texts(pyproject, _OPTIONS_FOR_FOLDERS), *_strings(p.get("from") for p in packages)]
    modules = [name.partition(".")[0] for name in _texts(pyproject, _OPTIONS_FOR_MODULES)]
    modules += _strings(package.get("include") for package in packages)
    for name in _texts(pyproject, ("project.name",)):
        modules.append(canonicalize_name(name).replace("-", "_"))
    folders = list(dict.fromkeys([*(str(PurePosixPath(one)) for one in named), *_FOLDERS, "."]))
    for folder in folders:
        if any((root / folder / module).is_dir() for module in modules):
            return folder
    with_package = (one for one in folders if any((root / one).glob("*/__init__.py")))
    return next(with_package, ".")


def assumed_layout(root: Path, folder: str) -> Layout:
    """Return the layout of a wheel that has all Python files of a folder.

    Args:
        root: the project's root, absolute.
        folder: the result of `source_folder`.
    """
    prefix = "" if folder == "." else f"{folder}/"
    source = root / folder
    files = {str(path): path.relative_to(source).as_posix() for path in python_files(source)}
    return Layout(root, files, lambda relative: relative.removeprefix(prefix))


def python_files(root: Path) -> Iterator[Path]:
    """Yield the Python files below a folder, without those of environments and builds."""
    for name, folders, files in os.walk(root):
        folder = Path(name)
        folders[:] = [
            one
            for one in sorted(folders)
            if one not in _NO_SOURCES
            and not one.startswith(".")
            and not (folder / one / "pyvenv.cfg").exists()
        ]
        yield from (folder / file for file in sorted(files) if file.endswith(".py"))


def _poetry_packages(pyproject: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    value = _look_up(pyproject, "tool.poetry.packages")
    packages = value if isinstance(value, list) else []
    return [package for package in packages if isinstance(package, dict)]


def _texts(pyproject: Mapping[str, Any], paths: tuple[str, ...]) -> list[str]:
    return _strings(_look_up(pyproject, path) for path in paths)


def _strings(values: Iterator[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]


def _look_up(pyproject: Mapping[str, Any], path: str) -> Any:
    found: Any = pyproject
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
