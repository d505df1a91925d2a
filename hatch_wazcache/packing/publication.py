"""New wheels that get their names together: all of them, or none.

Each is made in a temporary folder beside its final place.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.signals import signals_wait

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Self

__all__ = ["Publication"]


class Publication:
    """Wheels that have no names yet."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[Path, int]] = {}
        self._made: dict[Path, Path] = {}
        self._created: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the wheels that were not published."""
        with signals_wait():
            for folder, descriptor in self._folders.values():
                shutil.rmtree(folder, ignore_errors=True)
                if descriptor >= 0:
                    os.close(descriptor)
            for directory in self._created:
                with suppress(OSError):  # the new wheels are in it
                    directory.rmdir()

    def folder(self, directory: Path) -> Path:
        """Return the temporary folder of a directory, which is created if it is missing.

        Raises:
            WazcacheError: it cannot be written.
        """
        if directory not in self._folders:
            try:
                self._created += [
                    one for one in (directory, *directory.parents) if not one.exists()
                ]
                directory.mkdir(parents=True, exist_ok=True)
                temporary_files.sweep(directory)
                self._folders[directory] = temporary_files.create_folder(directory)
            except OSError as error:
                raise WazcacheError(
                    f"{directory}: cannot be written: {error.strerror or error}"
                ) from error
        return self._folders[directory][0]

    def add(self, made: Path, directory: Path) -> Path:
        """Add a finished wheel of the temporary folder; return its final path."""
        self._made[made] = directory / made.name
        return self._made[made]

    def publish(self, replaced: Iterable[Path]) -> None:
        """Give all wheels their names.

        Args:
            replaced: other files, which are removed then.

        Raises:
            WazcacheError: one cannot be renamed; then all names are as before.
        """
        with signals_wait():
            done: list[tuple[Path, Path | None]] = []
            try:
                for made, final in self._made.items():
                    before = self._keep(made, final)
                    done.append((final, before))
                    temporary_files.replace(made, final)
            except BaseException as error:
                for path, before in reversed(done):
                    with suppress(OSError):
                        path.unlink() if before is None else before.replace(path)
                if isinstance(error, OSError):
                    raise WazcacheError(
                        f"{final}: cannot be written: {error.strerror or error}"
                    ) from error
                raise
            for path in replaced:
                try:
                    path.unlink()
                except OSError as error:
                    raise WazcacheError(
                        f"{path}: cannot be removed: {error.strerror or error}"
                    ) from error

    def _keep(self, made: Path, final: Path) -> Path | None:
        """Keep the file that has a final name; None if there is none.

        Raises:
            OSError: it is a directory, which would be removed with the temporary folder.
        """
        if not os.path.lexists(final):
            return None
        kept = made.with_name(f"{made.name}.before")
        if not final.is_symlink():
            if final.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with suppress(OSError):  # a file system without links
                os.link(final, kept)
                return kept
        temporary_files.replace(final, kept)
        return kept
