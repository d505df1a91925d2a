"""Reads a finished wheel without trust: its names, its manifests, and its assets.

Assets are unpacked into a temporary folder, in chunks, and their digests are checked.
"""

from __future__ import annotations

import hashlib
import tempfile
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.requirements import WasmtimeRequirements
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.util.temporary_files import write_file
from hatch_wazcache.util.temporary_folder import TemporaryFolder
from hatch_wazcache.wheels.metadata import info_folder, parse_name, read_metadata
from hatch_wazcache.wheels.untrusted_manifest import is_path
from hatch_wazcache.wheels.wheel_manifests import read_manifests
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError, WheelReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from hatch_wazcache.formats.wasm import Wasm
    from hatch_wazcache.formats.zip_members import DateTime
    from hatch_wazcache.wheels.manifest import Manifest, ManifestAsset

__all__ = ["FinishedWheel", "unpack"]

_CHUNK = 1 << 20
"""Bytes."""


class FinishedWheel:
    """An open wheel with at least one manifest, and a folder for its unpacked assets.

    Its methods raise WazcacheError for a wheel that is broken.
    """

    def __init__(self, path: Path) -> None:
        """Open a wheel.

        Raises:
            WazcacheError: it cannot be read, is not a wheel of hatch-wazcache, or contradicts
                itself; one line for each problem.
        """
        self.path = path
        try:
            self._reader = WheelReader(path)
        except BrokenWheelError as error:
            raise WazcacheError(f"{path}: {error}") from error
        try:
            self._read()
            self._temporary = TemporaryFolder()
        except BrokenWheelError as error:
            self._reader.close()
            raise WazcacheError(f"{path}: {error}") from error
        except OSError as error:
            self._reader.close()
            raise _cannot_unpack(error) from error
        except BaseException:
            self._reader.close()
            raise
        self.folder: Path = Path(self._temporary.name)
        """The folder for unpacked assets. It lasts until `close`."""

    def _read(self) -> None:
        name = parse_name(self.path)
        self._info = info_folder(self._reader)
        try:
            self.fields: Mapping[str, list[str]] = read_metadata(self._reader)
            """METADATA: the values of each field, by its name in lower case."""
        except BrokenWheelError as error:
            raise BrokenWheelError(f"{self._info}/METADATA: {error}") from error
        self.name: str = self._field("name")
        """The project's name, as its METADATA writes it."""
        try:
            version = Version(self._field("version"))
        except InvalidVersion as error:
            raise BrokenWheelError(f"{self._info}/METADATA: {error}") from error
        if (canonicalize_name(self.name), version) != (name.project, Version(name.version)):
            raise BrokenWheelError(
                f"its name says {name.project} {name.version}, its METADATA {self.name} {version}"
            )
        self.version: str = str(version)
        """The project's version, in its normal form."""
        files = read_manifests(self._reader)
        if not files:
            raise BrokenWheelError("has no manifest: it was built without hatch-wazcache")
        if problems := [f"{file.path}: {line}" for file in files for line in file.problems]:
            raise WazcacheError("\n".join(f"{self.path}: {problem}" for problem in problems))
        self.manifests: list[Manifest] = [file.manifest for file in files if file.manifest]
        """The manifests, sorted by their paths."""

    def _field(self, name: str) -> str:
        values = self.fields.get(name, [])
        if len(values) != 1 or not values[0]:
            raise BrokenWheelError(f"{self._info}/METADATA: does not have one {name.title()}")
        return values[0]

    @property
    def date_time(self) -> DateTime:
        """The time stamp of the first manifest: when the wheel was built, or a fixed time."""
        path = self.manifests[0].path
        return next(info.date_time for info in self._reader.infos if info.filename == path)

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
                f"{self.path}: {self._info}/METADATA: has a line that is not valid ({error})"
            ) from error
        return WasmtimeRequirements(own, tuple(self.fields.get("provides-extra", [])))

    def unpack(self, manifest: Manifest, asset: ManifestAsset) -> tuple[Path, Wasm]:
        """Unpack an asset.

        Returns:
            The unpacked `.wasm`, and the facts about it.

        Raises:
            WazcacheError: it is not in the wheel, or is not the one that the manifest describes.
        """
        if asset.wasm is None or asset.wasm != asset.name:
            raise WazcacheError(f"{self.path}: {manifest.path}: {asset.name} has no .wasm")
        member = manifest.member(asset.wasm)
        where = f"{self.path}: {member}"
        if member not in self._reader:
            raise WazcacheError(f"{where}: is not in the wheel, but in its manifest")
        try:
            path = unpack(self._reader, member, self.folder)
        except BrokenWheelError as error:
            raise WazcacheError(f"{where}: {error}") from error
        except OSError as error:
            raise _cannot_unpack(error) from error
        wasm = read_wasm(path, where)
        if (wasm.sha256, wasm.kind) != (asset.sha256, asset.kind):
            raise WazcacheError(f"{where}: is another file than the manifest describes")
        return path, wasm

    def license_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the license files that METADATA names and the wheel has, by their names.

        Raises:
            WazcacheError: one cannot be read.
        """
        for name in dict.fromkeys(self.fields.get("license-file", [])):
            for folder in (f"{self._info}/licenses", self._info):  # the second before PEP 639
                if is_path(name) and f"{folder}/{name}" in self._reader:
                    try:
                        yield name, self._reader.text(f"{folder}/{name}")
                    except BrokenWheelError as error:
                        raise WazcacheError(f"{self.path}: {folder}/{name}: {error}") from error
                    break

    def copy(self, path: Path) -> None:
        """Copy the wheel to another file, completely or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        with self.path.open("rb") as file:
            write_file(path, iter(partial(file.read, _CHUNK), b""))

    def close(self) -> None:
        self._reader.close()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


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
    digest = hashlib.sha256()
    unfinished = folder / "unpacking"
    with unfinished.open("wb") as file:
        for chunk in wheel.chunks(member):
            digest.update(chunk)
            file.write(chunk)
    path = folder / f"{digest.hexdigest()}.wasm"
    unfinished.replace(path)
    return path
