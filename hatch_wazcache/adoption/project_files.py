"""A project that may not use hatch-wazcache yet: its build backend, packages and `.wasm` files.

No code of the project runs. hatchling reads its own configuration; other backends are not asked.
"""

from __future__ import annotations

import os
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.frontends.other_project import runs_no_hook
from hatch_wazcache.project.packages import Layout, NotInPackageError, Packages
from hatch_wazcache.project.pyproject import (
    HATCHLING,
    SHARED,
    build_backend,
    choose_table,
    hatch_toml,
    hook_tables,
    read_pyproject,
    shared_table,
    unread_table,
)
from hatch_wazcache.project.source_tree import assumed_layout, source_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Package

__all__ = ["ProjectFiles", "WasmFile", "is_project"]

_FILES = ("pyproject.toml", "setup.py", "setup.cfg")

_NO_PACKAGES = ("bench", "benchmarks", "docs", "examples", "scripts", "test", "tests", "tools")
"""Folders beside the packages of a flat layout that are usually not installed."""

_NO_SOURCES = ("__pycache__", "build", "dist", "node_modules", "site-packages")


class WasmFile(NamedTuple):
    """A `.wasm` file of the source tree."""

    relative: str
    """The path from the project's root, with forward slashes."""
    package: Package | None
    """The package that it is installed in; None if it is in none."""
    problem: str = ""
    """Why it is in none."""


def is_project(folder: Path) -> bool:
    """Say whether a folder has a file of a Python project."""
    return any((folder / name).is_file() for name in _FILES)


class ProjectFiles:
    """A project, as its files tell it."""

    def __init__(self, root: Path) -> None:
        """Read the configuration.

        Args:
            root: the project's root, absolute.

        Raises:
            WazcacheError: a file of it is not TOML, or has a table that nothing reads.
        """
        self.root = root
        self.pyproject = read_pyproject(root)
        self.backend = build_backend(self.pyproject)
        self.kind = self._kind()
        message = unread_table(root, self.pyproject)
        if message and shared_table(self.pyproject) is None:
            raise WazcacheError(f"{root / 'pyproject.toml'}: {message}")

    def _kind(self) -> Literal["hatchling", "setuptools", "other"]:
        """Say which part of hatch-wazcache the backend calls: its hook, its plugin, or none."""
        if self.backend == HATCHLING:
            return "hatchling"
        if runs_no_hook(self.backend):
            return "other"
        system = self.pyproject.get("build-system")
        requires = system.get("requires") if isinstance(system, dict) else None
        lines = requires if isinstance(requires, list) else []
        is_based_on_it = any(str(line).lower().startswith("setuptools") for line in lines)
        return "setuptools" if self.backend.startswith("setuptools.") or is_based_on_it else "other"

    @cached_property
    def hatch_toml(self) -> Path | None:
        """The file `hatch.toml`, if hatchling reads the options of builds from there."""
        is_read = self.kind == "hatchling" and hatch_toml(self.root) is not None
        return self.root / "hatch.toml" if is_read else None

    @cached_property
    def _tables(self) -> dict[str, Mapping[str, Any]]:
        """The tables of the hatch hook, which only hatchling reads."""
        return hook_tables(self.root, self.pyproject) if self.kind == "hatchling" else {}

    @property
    def has_options(self) -> bool:
        """Whether a table has the options."""
        return shared_table(self.pyproject) is not None or bool(self._tables)

    @property
    def lacks_hook(self) -> bool:
        """Whether hatchling does not run the hook, since it has no table."""
        return self.kind == "hatchling" and not self._tables

    def config(self) -> Config:
        """Return the options of the table.

        Raises:
            WazcacheError: all their problems, one line each.
        """
        return self._config(*choose_table(self.pyproject, self._tables))

    def read_table(self, content: Mapping[str, Any], location: str) -> Config:
        """Return the options of a table that is not in a file yet.

        Args:
            content: holds the table.
            location: the table's TOML path.
        """
        for name in location.split("."):
            content = content[name]
        return self._config(content, location)

    def _config(self, table: Mapping[str, Any], location: str) -> Config:
        from hatch_wazcache.project.options import read_config

        return read_config(table, location, {}, self.root)

    @cached_property
    def layout(self) -> Layout:
        """Where the backend puts the files: hatchling is asked, for others it is assumed.

        Raises:
            WazcacheError: hatchling does not find the files.
        """
        if self.kind == "hatchling":
            from hatch_wazcache.frontends.hatch.project import layout_of

            return layout_of(self.root)
        folder = source_folder(self.root, self.pyproject)
        layout = assumed_layout(self.root, folder)
        files = {**layout.files, **dict(self._linked_packages(self.root / folder))}
        if folder == ".":
            files = {
                source: path
                for source, path in files.items()
                if path.partition("/")[0] not in _NO_PACKAGES
            }
        return layout._replace(files=files)

    def _linked_packages(self, source: Path) -> Iterator[tuple[str, str]]:
        """Find packages whose folder is a link: backends follow it."""
        for link in sorted(source.iterdir()) if source.is_dir() else ():
            if link.is_symlink() and (link / "__init__.py").is_file():
                for path in link.rglob("*.py"):
                    yield str(path), path.relative_to(source).as_posix()

    def wasm_files(self) -> list[WasmFile]:
        """Find the `.wasm` files of the tree, and their packages."""
        packages = Packages(self._config({"assets": ["**/*.wasm"]}, SHARED), self.layout)
        found = [self._wasm_file(packages, relative) for relative in sorted(self._find_wasm())]
        in_packages = {os.path.realpath(self.root / one.relative) for one in found if one.package}
        return [
            one
            for one in found
            if one.package or os.path.realpath(self.root / one.relative) not in in_packages
        ]

    def _wasm_file(self, packages: Packages, relative: str) -> WasmFile:
        try:
            return WasmFile(relative, packages.of(self.in_wheel(relative), relative))
        except NotInPackageError as error:
            return WasmFile(relative, None, str(error))

    def in_wheel(self, relative: str) -> str:
        """Return the path in the wheel of a file of the project."""
        included = self.layout.files.get(str(self.root / relative))
        return included or self.layout.distribution_path(relative)

    def _find_wasm(self) -> Iterator[str]:
        """Find all `.wasm` files. Of the folders that are links, packages are searched."""
        for name, folders, files in os.walk(self.root, followlinks=True):
            folder = Path(name)
            folders[:] = [one for one in sorted(folders) if self._is_searched(folder / one)]
            for file in files:
                if file.endswith(".wasm"):
                    yield (folder / file).relative_to(self.root).as_posix()

    def _is_searched(self, folder: Path) -> bool:
        if folder.is_symlink():
            above = os.path.join(os.path.realpath(folder.parent), "")
            is_loop = above.startswith(os.path.join(os.path.realpath(folder), ""))
            return (folder / "__init__.py").is_file() and not is_loop
        return not (
            folder.name in _NO_SOURCES
            or folder.name.startswith(".")
            or (folder / "pyvenv.cfg").exists()
            or (folder / "pyproject.toml").exists()
        )

    def package_of_pattern(self, config: Config, glob: str) -> Package:
        """Return the package of a pattern that matches no file yet.

        Raises:
            WazcacheError: it is not in a package.
        """
        fixed = takewhile(lambda part: not set(part) & set("*?["), glob.split("/")[:-1])
        relative = "/".join([*fixed, "generated.wasm"])
        return Packages(config, self.layout).of(self.layout.distribution_path(relative), glob)

    def module_of(self, package: Package) -> str:
        """Return the name by which a package is imported.

        hatchling has said it. For other backends, it begins with the outermost folder that has an
        `__init__.py`.
        """
        if self.kind != "hatchling" and (package.source / "__init__.py").is_file():
            outermost = package.source
            while (outermost.parent / "__init__.py").is_file():
                outermost = outermost.parent
            return ".".join(package.source.relative_to(outermost.parent).parts)
        return package.distribution.replace("/", ".")

    def top_packages(self) -> list[str]:
        """Return the folders of the outermost packages, relative to the root."""
        return sorted(
            Path(source).parent.relative_to(self.root).as_posix()
            for source, path in self.layout.files.items()
            if path.count("/") == 1 and path.endswith("/__init__.py")
        )
