"""A wheel that anybody may have made, read without trust: its members, its tags, its RECORD.

Nothing is unpacked, and no member is held in memory but small texts.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, cast

from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.zip_members import LOCAL_HEADER
from hatch_wazcache.project.packages import LOADER_MARK, MANIFEST_FIELDS, manifest_name
from hatch_wazcache.util.sizes_and_times import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.tags import Tag
    from typing_extensions import Self

__all__ = ["BrokenWheelError", "WheelReader"]

_CHUNK = 1 << 20
_LARGEST_TEXT = 16 << 20
_MOST_MEMBERS = 100_000
_LONGEST_REASON = 200
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# Deflate can reach 1032; an artifact of real code has 3, one of zeros has never been shipped.
_LARGEST_RATIO = 100
_LARGEST_ANYWAY = 1 << 30

_SIZES_BEHIND = 1 << 3

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What zipfile raises on files that are none, or not whole."""


class BrokenWheelError(Exception):
    """A wheel, or a member of it, cannot be read; the text says why, without its name."""


class WheelReader:
    """An open wheel."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            WazcacheError: there is no such file, or it cannot be read.
            BrokenWheelError: it is no zip file, or one made to do harm.
        """
        self.path = path
        self.size = _file_size(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise WazcacheError(f"{path}: cannot be read: {error.strerror}") from error
            raise BrokenWheelError(
                f"it is no zip file, or cut short or damaged ({error})"
            ) from error
        infos = [info for info in self._archive.infolist() if info.filename[-1:] != "/"]
        self.names = [info.filename for info in infos]
        """Of all files, in their order; one that is there twice is named twice."""
        self._infos = {info.filename: info for info in infos}
        try:
            self._refuse_bombs()
        except BaseException:
            self.close()
            raise
        self._sha256: dict[str, bytes] = {}

    def _refuse_bombs(self) -> None:
        """Refuse what would take a reader without end, before anything is inflated."""
        infos = sorted(self._archive.infolist(), key=lambda info: info.header_offset)
        if len(infos) > _MOST_MEMBERS:
            raise BrokenWheelError(f"it has more than {_MOST_MEMBERS} members")
        for info, after in pairwise(infos):
            if info.header_offset + info.compress_size > after.header_offset:
                raise BrokenWheelError(
                    f"it is a zip bomb, or damaged: {info.filename} and {after.filename} share "
                    "their bytes"
                )
        unpacked = sum(info.file_size for info in infos)
        if unpacked > max(_LARGEST_RATIO * self.size, _LARGEST_ANYWAY):
            raise BrokenWheelError(
                f"it is a zip bomb: {size_text(self.size)}, and {size_text(unpacked)} unpacked"
            )

    def close(self) -> None:
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def size_of(self, name: str) -> int:
        """Return a member's size in bytes, as the archive claims it."""
        return self._infos[name].file_size

    def stored_size(self, name: str) -> int:
        """Return the bytes that a member takes in the archive, as the archive claims it."""
        return self._infos[name].compress_size

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """Open a member; it can seek, backwards at the price of inflating it again.

        Raises:
            BrokenWheelError: here or while it is read: it cannot be.
        """
        info = self._infos[name]
        if info.flag_bits & 1:
            raise BrokenWheelError("it is encrypted")
        if info.compress_type not in _METHODS:
            raise BrokenWheelError("it is compressed by a method that wheels do not have")
        try:
            with self._archive.open(info) as file:
                yield cast("BinaryIO", file)
        except _UNREADABLE as error:
            why = str(error)[:_LONGEST_REASON] or "it is cut short"
            raise BrokenWheelError(f"it cannot be unpacked ({why})") from error

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's data.

        Raises:
            BrokenWheelError: it cannot be unpacked.
        """
        with self.open(name) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def text(self, name: str) -> bytes:
        """Return all of a small member.

        Raises:
            BrokenWheelError: it cannot be unpacked, or is not small.
        """
        if self.size_of(name) > _LARGEST_TEXT:
            raise BrokenWheelError(f"it is too large to be what it is for ({self.size_of(name)} B)")
        return b"".join(self.chunks(name))

    def digest(self, name: str, algorithm: str = "sha256") -> bytes:
        """Return the digest of a member's data.

        Args:
            name: the member.
            algorithm: one that hashlib always has.

        Raises:
            BrokenWheelError: it cannot be unpacked.
        """
        if algorithm == "sha256" and name in self._sha256:
            return self._sha256[name]
        digest = hashlib.new(algorithm)
        for chunk in self.chunks(name):
            digest.update(chunk)
        if algorithm == "sha256":
            self._sha256[name] = digest.digest()
        return digest.digest()

    def bad_names(self) -> Iterator[tuple[str, str]]:
        """Yield the members whose names are not those of files below one folder, and why."""
        seen = set()
        for info in self._archive.infolist():
            name = info.filename
            if name in seen:
                yield name, "it is there twice; installers differ in which one they take"
            seen.add(name)
            if info.orig_filename != name or not name.isprintable() or not name or "\\" in name:
                yield info.orig_filename, "its name is not read alike by all installers"
            elif name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
                yield name, "its name leads out of the folder that it is installed to"

    def conflicting_headers(self) -> Iterator[tuple[str, str]]:
        """Yield the members that a reader from front to back takes for others, and why.

        A member is described in the archive's directory, and in a header before its data, which
        is what an installer goes by that unpacks a wheel while it is downloaded.
        """
        with self.path.open("rb") as file:
            for info in self._infos.values():
                try:
                    file.seek(info.header_offset)
                except (OSError, ValueError, OverflowError):
                    continue  # before the file's beginning; found as it is unpacked
                head = file.read(LOCAL_HEADER.size)
                if len(head) < LOCAL_HEADER.size or info.flag_bits & 1:
                    continue  # found as it is unpacked
                _, _, flags, method, _, _, *sizes, _, _ = LOCAL_HEADER.unpack(head)
                told = [info.CRC, info.compress_size, info.file_size]
                behind = flags & _SIZES_BEHIND or 0xFFFFFFFF in sizes  # zip64 has them elsewhere
                same = method == info.compress_type and not flags & 1
                if not same or (sizes != told and not behind):
                    yield info.filename, "its own header is unlike the archive's directory"

    def info_folder(self) -> str:
        """Return the name of the .dist-info folder.

        Raises:
            BrokenWheelError: there is none, or more than one.
        """
        folders = {name.partition("/")[0] for name in self.names if "/" in name}
        found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
        if len(found) != 1:
            raise BrokenWheelError(f"it has {len(found)} .dist-info folders, not one")
        return found[0]

    def name_parts(self) -> tuple[str, str, frozenset[Tag]]:
        """Return what the wheel's own name says: project, version, tags.

        https://packaging.python.org/en/latest/specifications/binary-distribution-format/

        Raises:
            BrokenWheelError: it is no wheel's name.
        """
        try:
            project, version, _build, tags = parse_wheel_filename(self.path.name)
        except InvalidWheelFilename as error:
            raise BrokenWheelError(f"its name is no wheel's ({error})") from error
        return project, str(version), tags

    def tags(self) -> frozenset[Tag]:
        """Return what WHEEL says.

        Raises:
            BrokenWheelError: there is none, or it cannot be read.
        """
        text = self._info_text("WHEEL").decode("utf-8", "replace")
        lines = [line.partition(":") for line in text.splitlines()]
        said = [value.strip() for key, _, value in lines if key.strip().lower() == "tag"]
        if not said or not all(re.fullmatch(r"[^-\s]+-[^-\s]+-[^-\s]+", tag) for tag in said):
            raise BrokenWheelError(f"its tags are none: {', '.join(said) or 'it has no Tag line'}")
        return frozenset(tag for line in said for tag in parse_tag(line))

    def record(self) -> list[list[str]]:
        """Return the rows of RECORD.

        Raises:
            BrokenWheelError: there is none, or it cannot be read.
        """
        text = io.StringIO(self._info_text("RECORD").decode("utf-8", "replace"), newline="")
        try:
            return [row for row in csv.reader(text) if row]
        except csv.Error as error:
            raise BrokenWheelError(f"it is no table ({error})") from error

    def _info_text(self, name: str) -> bytes:
        member = f"{self.info_folder()}/{name}"
        if member not in self:
            raise BrokenWheelError("it is missing")
        return self.text(member)

    def manifests(self) -> dict[str, str | None]:
        """Find the manifests, there or missed: by their names, fields and the loaders beside them.

        Returns:
            The loader by the manifest; None for none.
        """
        found: dict[str, str | None] = {}
        for name in self._infos:
            if name.endswith(".py") and self._begins_with(name, LOADER_MARK.encode()):
                found[manifest_name(name)] = name
        for name in self._infos:
            if name not in found and (
                name.rpartition("/")[2] == manifest_name(None)
                or (name.endswith(".json") and self._has_manifest_fields(name))
            ):
                found[name] = None
        return dict(sorted(found.items()))

    def _begins_with(self, name: str, head: bytes) -> bool:
        try:
            with self.open(name) as file:
                return file.read(len(head)) == head
        except BrokenWheelError:
            return False

    def _has_manifest_fields(self, name: str) -> bool:
        try:
            text = self.text(name)
            if not all(field.encode() in text for field in MANIFEST_FIELDS):
                return False  # so that a package's own data are not parsed
            manifest = json.loads(text)
        except (BrokenWheelError, ValueError, RecursionError):
            return False
        return isinstance(manifest, dict) and manifest.keys() >= MANIFEST_FIELDS


def _file_size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        if path.is_symlink():
            raise WazcacheError(f"{path}: is a symlink that leads nowhere") from error
        raise WazcacheError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise WazcacheError(f"{path!r}: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise WazcacheError(f"{path}: is a directory, not a wheel")
    if not stat.S_ISREG(status.st_mode):
        raise WazcacheError(f"{path}: is not a regular file")
    return status.st_size
