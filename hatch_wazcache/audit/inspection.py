"""Describes a wheel: its packages, their assets and artifacts, and which artifacts load here."""

from __future__ import annotations

import posixpath
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_wazcache.audit.artifact_checks import read_headers
from hatch_wazcache.audit.companion_checks import is_version_0
from hatch_wazcache.audit.load_check import why_not_loaded
from hatch_wazcache.audit.requirement_checks import check_requirements, read_requirements
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WasmtimeError, WazcacheError
from hatch_wazcache.wheels.metadata import parse_name
from hatch_wazcache.wheels.wheel_manifests import read_manifests
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from hatch_wazcache.audit.requirement_checks import Requirements
    from hatch_wazcache.wheels.manifest import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.wheel_manifests import ManifestFile
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = [
    "ArtifactInspection",
    "AssetInspection",
    "Here",
    "PackageInspection",
    "WheelInspection",
    "inspect_wheel",
]

_PATIENCE = 300.0
"""Seconds for trying the artifacts of one wheel. Each usually needs a tenth of one."""


@dataclass(frozen=True)
class Here:
    """The machine and its wasmtime, which decide which artifacts load."""

    system: str | None
    """None if wasmtime-py has no wheels for it."""
    wasmtime: str | None
    """The version of the installed wasmtime wheel."""
    problem: str
    """Why there is no wasmtime; otherwise empty."""

    @classmethod
    def find(cls) -> Self:
        """Look at this machine and its Python environment."""
        system = native_system()
        name = system.name if system else None
        try:
            return cls(name, installed_wasmtime().version, "")
        except WasmtimeError as error:
            return cls(name, None, error.problem)  # its advice is for a build
        except WazcacheError as error:
            return cls(name, None, str(error))


@dataclass(frozen=True)
class ArtifactInspection:
    """An artifact that a manifest lists."""

    file: str
    """Its path in the wheel."""
    target: str
    cpu: str
    profile: str
    wasmtime: str
    """The version of the engine that compiled it."""
    size: int | None
    """Bytes; None if the wheel does not hold it."""
    packed: int | None
    """Bytes in the archive."""
    loads: bool | None
    """None if it was not tried."""
    reason: str | None
    """Why it does not load, or was not tried."""


@dataclass(frozen=True)
class AssetInspection:
    """An asset that a manifest lists."""

    name: str
    kind: str
    wasm: str | None
    """The path of the `.wasm` in the wheel, if the wheel holds it."""
    size: int | None
    packed: int | None
    artifacts: list[ArtifactInspection]


@dataclass(frozen=True)
class PackageInspection:
    """A package that has a manifest."""

    package: str
    manifest: str
    loader: str | None
    runtime: str | None
    """The requirement on the package whose loader loads its artifacts."""
    wasmtime: list[str]
    """The versions of the engines that compiled its artifacts."""
    companion: str | None
    """The name of its companion."""
    companion_of: str | None
    """In a companion: the name and the version of the package."""
    problems: list[str]
    """The problems of the manifest."""
    assets: list[AssetInspection]


@dataclass(frozen=True)
class WheelInspection:
    """A wheel."""

    wheel: str
    tags: list[str]
    size: int
    unpacked: int
    files: int
    requires: list[str]
    """The requirements on wasmtime."""
    requires_python: str
    notes: list[str]
    """Reasons why users may not get a wasmtime that loads the artifacts."""
    packages: list[PackageInspection]
    is_version_0: bool
    """Whether it is a companion of version 0, which is empty."""


def inspect_wheel(wheel: WheelReader, here: Here) -> WheelInspection:
    """Describe a wheel.

    Raises:
        BrokenWheelError: its name is not the name of a wheel.
    """
    tags = parse_name(wheel.path).tags
    files = read_manifests(wheel)
    requirements = _requirements(wheel)
    inspector = _Inspector(wheel, here)
    return WheelInspection(
        wheel=str(wheel.path),
        tags=sorted(map(str, tags)),
        size=wheel.size,
        unpacked=sum(map(wheel.size_of, wheel.names)),
        files=len(wheel.names),
        requires=[str(one) for one in requirements.wasmtime.lines] if requirements else [],
        requires_python=requirements.wasmtime.python if requirements else "",
        notes=_notes(wheel, files),
        packages=[inspector.package(file) for file in files],
        is_version_0=is_version_0(wheel),
    )


def _requirements(wheel: WheelReader) -> Requirements | None:
    try:
        return read_requirements(wheel)
    except BrokenWheelError:
        return None  # `_notes` says why


def _notes(wheel: WheelReader, files: Sequence[ManifestFile]) -> list[str]:
    if not files:
        return []
    headers, _ = read_headers(wheel, [file.manifest for file in files if file.manifest])
    results = check_requirements(wheel, files, headers)
    return [f"{result.member}: {result.text}" for result in results]


class _Inspector:
    """Describes the packages of one wheel."""

    def __init__(self, wheel: WheelReader, here: Here) -> None:
        self._wheel = wheel
        self._here = here
        self._end = time.monotonic() + _PATIENCE

    def package(self, file: ManifestFile) -> PackageInspection:
        manifest = file.manifest
        assets = manifest.assets if manifest else ()
        about = manifest.package if manifest else None
        return PackageInspection(
            package=posixpath.dirname(file.path),
            manifest=file.path,
            loader=file.loader,
            runtime=manifest.runtime if manifest else None,
            wasmtime=list(manifest.engines) if manifest else [],
            companion=manifest.companion.name if manifest and manifest.companion else None,
            companion_of=f"{about.name} {about.version}" if about else None,
            problems=file.problems,
            assets=[self._asset(manifest, asset) for asset in assets if manifest],
        )

    def _asset(self, manifest: Manifest, asset: ManifestAsset) -> AssetInspection:
        member = None if asset.wasm is None else manifest.member(asset.wasm)
        size, packed = self._sizes(member)
        return AssetInspection(
            name=asset.name,
            kind=asset.kind,
            wasm=member,
            size=size,
            packed=packed,
            artifacts=[self._artifact(manifest, asset, artifact) for artifact in asset.artifacts],
        )

    def _artifact(
        self, manifest: Manifest, asset: ManifestAsset, artifact: ManifestArtifact
    ) -> ArtifactInspection:
        member = manifest.member(artifact.file)
        size, packed = self._sizes(member)
        loads, reason = self._loads(manifest, asset, artifact)
        return ArtifactInspection(
            file=member,
            target=artifact.target,
            cpu=artifact.cpu,
            profile=artifact.profile,
            wasmtime=artifact.engine,
            size=size,
            packed=packed,
            loads=loads,
            reason=reason,
        )

    def _loads(
        self, manifest: Manifest, asset: ManifestAsset, artifact: ManifestArtifact
    ) -> tuple[bool | None, str | None]:
        """Say whether an artifact loads here, and if not, why."""
        if artifact.target != self._here.system:
            return False, "for another system"
        if self._here.wasmtime is None:
            return None, "there is no wasmtime here to try it"
        if manifest.member(artifact.file) not in self._wheel:
            return False, "it is missing"
        if time.monotonic() > self._end:
            return None, f"not tried: the wheel's other artifacts needed {_PATIENCE:g} s"
        try:
            reason = why_not_loaded(self._wheel, manifest, asset, artifact)
        except BrokenWheelError as error:
            reason = f"it {error}"
        return reason is None, reason

    def _sizes(self, member: str | None) -> tuple[int | None, int | None]:
        if member is None or member not in self._wheel:
            return None, None
        return self._wheel.size_of(member), self._wheel.stored_size(member)
