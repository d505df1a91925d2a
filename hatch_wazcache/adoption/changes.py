"""Changes to the files of a project: shown first, then made, all or none of them."""

from __future__ import annotations

import difflib
import errno
import os
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.signals import signals_wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Change", "make_changes"]


class Change(NamedTuple):
    """A file that gets another content."""

    path: Path
    before: bytes | None
    """None: the file does not exist."""
    after: bytes
    what: str = ""
    """What the file is, instead of its lines, for a long file."""

    def lines(self, root: Path) -> Iterator[str]:
        """Show the change: the file, and the lines that go and come."""
        name = os.path.relpath(self.path, root).replace(os.sep, "/")
        how = "new" if self.before is None else "changed"
        yield f"{name}: {how}{f', {self.what}' if self.what else ''}"
        if not self.what:
            before, after = (
                (data or b"").decode("utf-8", "replace").splitlines()
                for data in (self.before, self.after)
            )
            for line in difflib.unified_diff(before, after, n=1, lineterm=""):
                if not line.startswith(("---", "+++", "@@")):
                    yield f"  {line}"


class _Draft(NamedTuple):
    """The new content of a file and the old one, under temporary names."""

    change: Change
    path: Path
    file: IO[bytes]
    backup: Path | None
    """None: the file does not exist."""
    backup_file: IO[bytes] | None

    def place(self) -> None:
        temporary_files.place(self.path, self.file, self.change.path)

    def undo(self) -> None:
        """Give the file its old content. That needs no space on the disk."""
        if self.backup is not None and self.backup_file is not None:
            temporary_files.place(self.backup, self.backup_file, self.change.path)
        elif not self.path.exists():  # it has got its name
            self.change.path.unlink(missing_ok=True)

    def close(self) -> None:
        for path, file in ((self.path, self.file), (self.backup, self.backup_file)):
            if path is not None and file is not None:
                file.close()
                path.unlink(missing_ok=True)


@signals_wait()
def make_changes(changes: Sequence[Change]) -> None:
    """Make all changes, or none of them. Signals wait for the end.

    First all files are written under temporary names. Then they get their names, in their order; if
    that fails, the earlier ones get their old content back.

    Raises:
        WazcacheError: a file cannot be written, or has changed meanwhile.
    """
    drafts: list[_Draft] = []
    placed: list[_Draft] = []
    try:
        for change in changes:
            _draft(change, drafts)
        for draft in drafts:
            placed.append(draft)
            draft.place()
    except BaseException as error:
        for draft in reversed(placed):
            draft.undo()
        if isinstance(error, OSError):
            where = error.filename or "the project"
            raise WazcacheError(
                f"{where}: cannot be written: {error.strerror or error}; nothing was changed"
            ) from error
        raise
    finally:
        for draft in drafts:
            draft.close()


def _draft(change: Change, drafts: list[_Draft]) -> None:
    folder = change.path.parent
    temporary_files.sweep(folder)
    if _content(change.path) != change.before:
        raise WazcacheError(f"{change.path}: has changed meanwhile; nothing was changed")
    path, file = _create(folder)
    draft = _Draft(change, path, file, None, None)
    drafts.append(draft)
    backup, backup_file = (None, None) if change.before is None else _create(folder)
    drafts[-1] = draft._replace(backup=backup, backup_file=backup_file)
    mode = temporary_files.new_file_mode()
    if backup is not None and backup_file is not None:
        if not os.access(change.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(change.path))
        mode = stat.S_IMODE(change.path.stat().st_mode)
        _fill(backup, backup_file, change.before or b"", mode)
    _fill(path, file, change.after, mode)


def _create(folder: Path) -> tuple[Path, IO[bytes]]:
    try:
        return temporary_files.create(folder)
    except OSError as error:
        error.filename = str(folder)  # the name of the temporary file says nothing
        raise


def _fill(path: Path, file: IO[bytes], data: bytes, mode: int) -> None:
    file.write(data)
    file.flush()
    path.chmod(mode)


def _content(path: Path) -> bytes | None:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return None
