"""Reads a finished wheel of any origin without trust: its names, its manifests, and its assets.

Assets are unpacked into a temporary folder, in chunks, and their digests are checked.
"""

from __future__ import annotations

import tempfile
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.requirements import WasmtimeRequirements
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import FileStamp, read_wasm
from hatch_wazcache.formats.zip_members import DEFAULT_MODE
from hatch_wazcache.project.packages import Member
from hatch_wazcache.util.temporary_files import write_file
from hatch_wazcache.util.temporary_folder import TemporaryFolder
from hatch_wazcache.util.terminal import printable
from hatch_wazcache.wheels.metadata import info_folder, parse_name, read_metadata, read_purelib
from hatch_wazcache.wheels.native_files import native_files
from hatch_wazcache.wheels.sbom import sbom_path
from hatch_wazcache.wheels.untrusted_manifest import is_path
from hatch_wazcache.wheels.wheel_manifests import read_manifests
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.tags import Tag
    from typing_extensions import Self

    from hatch_wazcache.formats.wasm import Wasm
    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.packing.plan import Asset
    from hatch_wazcache.wheels.manifest import Manifest, ManifestAsset

__all__ = ["FinishedWheel", "unpack"]

_CHUNK = 1 << 20
"""Bytes."""

_MOST_SHOWN = 10
"""The most problems of one wheel that a message lists."""


class FinishedWheel:
    """An open wheel, and a folder for its unpacked assets.

    Its methods raise WazcacheError for a wheel that is broken.
    """

    def __init__(self, path: Path, packed: Iterable[Asset] = ()) -> None:
        """Open a wheel.

        Args:
            path: the wheel.
            packed: the assets that this process has just packed into it. They are not read again.

        Raises:
            WazcacheError: it cannot be read, is not a wheel, or contradicts itself; one line for
                each problem.
        """
        self.path = path
        if path.name.endswith((".tar.gz", ".zip")) and path.is_file():
            raise WazcacheError(f"{path}: is not a wheel; if it is an sdist, build its wheel first")
        self._packed = {asset.wasm.sha256: asset for asset in packed}
        self._stamp = _stamp(path)
        try:
            self.reader: WheelReader = WheelReader(path)
        except BrokenWheelError as error:
            raise WazcacheError(f"{path}: {error}") from error
        try:
            self._read()
            self._temporary = TemporaryFolder()
        except BrokenWheelError as error:
            self.reader.close()
            raise WazcacheError(f"{path}: {error}") from error
        except OSError as error:
            self.reader.close()
            raise _cannot_unpack(error) from error
        except BaseException:
            self.reader.close()
            raise
        self.folder: Path = Path(self._temporary.name)
        """The folder for unpacked assets. It lasts until `close`."""

    def _read(self) -> None:
        name = parse_name(self.path)
        self.tags: frozenset[Tag] = name.tags
        """The tags in its name."""
        self.info: str = info_folder(self.reader)
        """The .dist-info folder."""
        try:
            self.fields: Mapping[str, list[str]] = read_metadata(self.reader)
            """METADATA: the values of each field, by its name in lower case."""
        except BrokenWheelError as error:
            raise BrokenWheelError(f"{self.info}/METADATA: {error}") from error
        self.name: str = self._field("name")
        """The project's name, as its METADATA writes it."""
        try:
            version = Version(self._field("version"))
        except InvalidVersion as error:
            raise BrokenWheelError(f"{self.info}/METADATA: {error}") from error
        if (canonicalize_name(self.name), version) != (name.project, Version(name.version)):
            raise BrokenWheelError(
                f"its name says {name.project} {name.version}, its METADATA {self.name} {version}"
            )
        self.version: str = str(version)
        """The project's version, in its normal form."""
        files = read_manifests(self.reader)
        self.loaders: tuple[str, ...] = tuple(file.loader for file in files if file.loader)
        """The loaders of hatch-wazcache, by their paths in the wheel."""
        self.without_manifest: tuple[str, ...] = tuple(
            file.loader for file in files if file.loader and file.path not in self.reader
        )
        """The loaders without a manifest: a backend without our hook packs a committed one."""
        self.refuse(
            f"{file.path}: {line}"
            for file in files
            if file.loader not in self.without_manifest
            for line in file.problems
        )
        self.manifests: list[Manifest] = [file.manifest for file in files if file.manifest]
        """The manifests, sorted by their paths."""

    def refuse(self, problems: Iterable[str]) -> None:
        """Raise an error that lists the first problems of the wheel, if there are any.

        Raises:
            WazcacheError: there are; one line for each.
        """
        found = list(dict.fromkeys(islice(problems, _MOST_SHOWN + 1)))
        lines = found[:_MOST_SHOWN]
        if len(found) > _MOST_SHOWN:
            lines.append("has more problems than these")
        if lines:
            # A line break in a name must not look like another message.
            raise WazcacheError("\n".join(f"{self.path}: {printable(line)}" for line in lines))

    def _field(self, name: str) -> str:
        values = self.fields.get(name, [])
        if len(values) != 1 or not values[0]:
            raise BrokenWheelError(f"{self.info}/METADATA: does not have one {name.title()}")
        return values[0]

    @property
    def date_time(self) -> DateTime:
        """The time stamp of its WHEEL file: when the wheel was built, or a fixed time."""
        return self.member(f"{self.info}/WHEEL").date_time

    def member(self, name: str) -> Member:
        """Return the time stamp and the mode of a member.

        Raises:
            WazcacheError: there is no such member.
        """
        if name not in self.reader:
            raise WazcacheError(f"{self.path}: {name}: is missing")
        info = self.reader.info(name)
        mode = info.external_attr >> 16
        return Member(name, info.date_time, mode or DEFAULT_MODE)

    @property
    def is_pure(self) -> bool:
        """Whether it was for every platform before artifacts were added, as its WHEEL file says.

        In a wheel of ours with artifacts for one platform, WHEEL no longer says it.
        """
        try:
            said = read_purelib(self.reader)
        except BrokenWheelError as error:
            raise WazcacheError(f"{self.path}: {self.info}/WHEEL: {error}") from error
        has_artifacts = any(True for each in self.manifests for _one in each.artifacts)
        return said or (has_artifacts and not self.native_files)

    @property
    def has_wasm(self) -> bool:
        """Whether a file in it is named like an asset."""
        return any(name.endswith(".wasm") for name in self.reader.names)

    @property
    def has_sbom(self) -> bool:
        """Whether a build of ours has put an SBOM into it."""
        return sbom_path(self.info) in self.reader

    def check_unchanged(self) -> None:
        """Check that nobody has written the file since it was opened.

        Raises:
            WazcacheError: somebody has, or it is gone.
        """
        if self._stamp != _stamp(self.path):
            raise WazcacheError(f"{self.path}: has changed meanwhile; try again")

    @cached_property
    def old_members(self) -> frozenset[str]:
        """The members that a build of ours has made: loaders, manifests, artifacts, our SBOM."""
        found = {*self.loaders, *(manifest.path for manifest in self.manifests)}
        found.update([sbom_path(self.info)] if self.has_sbom else [])
        for manifest in self.manifests:
            # A manifest must not be able to name any other member away.
            files = (one.file for one in manifest.artifacts if one.file.endswith(".cwasm"))
            found.update(map(manifest.member, files))
        return frozenset(found)

    @cached_property
    def native_files(self) -> tuple[str, ...]:
        """The members that hold code for one platform, other than artifacts of manifests."""
        return native_files(self.reader, self.old_members)

    @cached_property
    def wasmtime(self) -> WasmtimeRequirements:
        """The requirements on wasmtime in METADATA.

        Raises:
            WazcacheError: METADATA has a requirement that is not valid.
        """
        try:
            lines = map(Requirement, self.fields.get("requires-dist", []))
            own = tuple(line for line in lines if canonicalize_name(line.name) == "wasmtime")
        except (InvalidRequirement, RecursionError) as error:
            raise WazcacheError(
                f"{self.path}: {self.info}/METADATA: has a line that is not valid ({error})"
            ) from error
        return WasmtimeRequirements(own, tuple(self.fields.get("provides-extra", [])))

    def unpack(self, manifest: Manifest, asset: ManifestAsset) -> tuple[Path, Wasm]:
        """Unpack an asset, unless this process has packed it.

        Returns:
            The `.wasm`, and the facts about it.

        Raises:
            WazcacheError: it is not in the wheel, or is not the one that the manifest describes.
        """
        if asset.wasm is None or asset.wasm != asset.name:
            raise WazcacheError(f"{self.path}: {manifest.path}: {asset.name} has no .wasm")
        member = manifest.member(asset.wasm)
        where = f"{self.path}: {member}"
        if member not in self.reader:
            raise WazcacheError(f"{where}: is not in the wheel, but in its manifest")
        if packed := self._packed.get(asset.sha256):
            return packed.source, packed.wasm
        path = self.unpack_member(member)
        wasm = read_wasm(path, where)
        if (wasm.sha256, wasm.kind) != (asset.sha256, asset.kind):
            raise WazcacheError(f"{where}: is another file than the manifest describes")
        return path, wasm

    def unpack_member(self, member: str) -> Path:
        """Unpack a member under its digest.

        Raises:
            WazcacheError: it cannot be unpacked.
        """
        try:
            return unpack(self.reader, member, self.folder)
        except BrokenWheelError as error:
            raise WazcacheError(f"{self.path}: {member}: {error}") from error
        except OSError as error:
            raise _cannot_unpack(error) from error

    def text(self, member: str) -> bytes:
        """Return the data of a small member.

        Raises:
            WazcacheError: it cannot be unpacked, or is too large.
        """
        try:
            return self.reader.text(member)
        except BrokenWheelError as error:
            raise WazcacheError(f"{self.path}: {member}: {error}") from error

    def license_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the license files that METADATA names and the wheel has, by their names.

        Raises:
            WazcacheError: one cannot be read.
        """
        for name in dict.fromkeys(self.fields.get("license-file", [])):
            for folder in (f"{self.info}/licenses", self.info):  # the second before PEP 639
                if is_path(name) and f"{folder}/{name}" in self.reader:
                    yield name, self.text(f"{folder}/{name}")
                    break

    def copy(self, path: Path) -> None:
        """Copy the wheel to another file, completely or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        with self.path.open("rb") as file:
            write_file(path, iter(partial(file.read, _CHUNK), b""))

    def close(self) -> None:
        self.reader.close()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _stamp(path: Path) -> FileStamp | None:
    """Return the stamp of a file; None if there is none."""
    try:
        return FileStamp.of(path.stat())
    except (OSError, ValueError):  # to open it gives the reason
        return None


def _cannot_unpack(error: OSError) -> WazcacheError:
    where = error.filename or tempfile.tempdir or "no temporary folder"
    return WazcacheError(f"{where}: cannot be written: {error.strerror or error}; see TMPDIR")


def unpack(wheel: WheelReader, member: str, folder: Path) -> Path:
    """Unpack an asset under its digest, so that no name in the wheel becomes a path.

    Args:
        wheel: an untrusted wheel.
        member: the asset.
        folder: where to put it.

    Raises:
        BrokenWheelError: it cannot be unpacked.
    """
    unfinished = folder / "unpacking"
    with unfinished.open("wb") as file:
        digest = wheel.unpack(member, file)
    path = folder / f"{digest}.wasm"
    unfinished.replace(path)
    return path
