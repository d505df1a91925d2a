"""What to put in the place of the lines that load `.wasm` files with wasmtime itself."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hatch_wazcache.adoption.load_calls import LoadCall
    from hatch_wazcache.adoption.project_files import ProjectFiles
    from hatch_wazcache.project.packages import Package

__all__ = ["Assets", "Suggestion", "suggestions_for"]


class Assets(NamedTuple):
    """The assets of a project: those that are there, and the packages of all of them."""

    files: list[Path]
    packages: list[Package]


class Suggestion(NamedTuple):
    """A line of a package, and the lines to put there."""

    call: LoadCall
    import_line: str
    replacement: str
    names: tuple[str, ...]
    """The names that fit in the place of `NAME.wasm`; empty if the replacement has none."""


def suggestions_for(
    project: ProjectFiles, assets: Assets, calls: Iterable[LoadCall]
) -> Iterator[Suggestion]:
    """Yield a suggestion for each call, with the loader that is nearest to it.

    Args:
        project: the project.
        assets: its assets.
        calls: the calls in its code.
    """
    packages = [package for package in assets.packages if package.loader]
    for call in calls if packages else ():
        package = _nearest(packages, project.in_wheel(call.relative))
        module = f"{project.module_of(package)}.{PurePosixPath(package.loader or '').stem}"
        files = [
            PurePosixPath(project.in_wheel(path.relative_to(project.root).as_posix()))
            for path in assets.files
        ]
        names = [
            str(file.relative_to(package.distribution))
            for file in files
            if file.is_relative_to(package.distribution)
        ]
        yield Suggestion(
            call,
            f"from {module} import {call.function}",
            call.replacement(names[0] if len(names) == 1 else None),
            () if call.path or len(names) == 1 else tuple(names),
        )


def _nearest(packages: Iterable[Package], path: str) -> Package:
    """Return the package that shares most folders with a file of the wheel."""
    folders = {*PurePosixPath(path).parents}

    def shared(package: Package) -> int:
        return len(folders & {*PurePosixPath(package.file("any")).parents})

    return max(packages, key=shared)
