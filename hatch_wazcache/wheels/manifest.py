"""The format of the manifest: the artifacts of a package, their origin, and their use.

A build writes a `Manifest`, and the loader reads it at run time.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache.resources import companion_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.formats.sections import Kind
    from hatch_wazcache.formats.wasm import FileStamp

    Settings = Mapping[str, SettingValue]

__all__ = [
    "DEFAULT_LOADER",
    "FALLBACKS",
    "SCHEMA",
    "CompanionInfo",
    "EditableInfo",
    "Manifest",
    "ManifestArtifact",
    "ManifestAsset",
    "PackageInfo",
    "is_manifest",
    "is_manifest_text",
    "manifest_name",
    "may_be_manifest",
    "read_editable_info",
]

SCHEMA = 2
"""The loader refuses a manifest of another schema."""

_FIELDS = frozenset({"schema", "profiles", "assets"})
"""The fields that identify a manifest of any version."""

_EDITABLE_SCHEMAS = (1, 2)
"""The schemas with these notes of an editable install, whose files a later one removes."""

DEFAULT_LOADER = "_wazcache.py"
"""The file name of a loader, unless the option `loader` names another."""

FALLBACKS = ("cache", "compile", "error")
"""What the loader does where no artifact loads. The first is the default."""


@dataclass(frozen=True)
class ManifestArtifact:
    """An artifact, as a manifest describes it."""

    file: str
    """Its path in the package."""
    target: str
    """The name of the system that it was compiled for."""
    cpu: str
    profile: str
    engine: str
    """The version of the wasmtime that compiled it. In the file, the field is `wasmtime`."""
    sha256: str
    size: int

    @property
    def major(self) -> int:
        """The major version of the engine."""
        return int(self.engine.partition(".")[0])


@dataclass(frozen=True)
class ManifestAsset:
    """An asset, as a manifest describes it."""

    name: str
    """The name that users pass to the loader: the asset's path in the package."""
    kind: Kind
    wasm: str | None
    """The path of the `.wasm` in the package; None if the wheel does not hold it."""
    sha256: str
    size: int
    artifacts: tuple[ManifestArtifact, ...]
    profiles: tuple[str, ...] = ()
    """The profiles that its companion's artifacts are for, if these are not all of the package's.
    """
    stamp: FileStamp | None = None
    """The stamp of the `.wasm` when it was compiled; only for an editable install.

    While the file has this stamp and this size, the loader does not hash it.
    """


@dataclass(frozen=True)
class EditableInfo:
    """The notes of an editable install, so that the next one can remove its files."""

    project: str
    wrote: tuple[str, ...]
    """The files that it wrote, by their paths in the package."""


@dataclass(frozen=True)
class CompanionInfo:
    """The distribution with a package's further artifacts, as the package's manifest names it."""

    name: str
    """The name of the distribution, such as `gofmt-wasmtime`."""
    cpu: tuple[str, ...]
    """The CPU levels that its artifacts are made for."""

    @property
    def folder(self) -> str:
        """The folder of its files in `site-packages`."""
        return companion_folder(self.name)


@dataclass(frozen=True)
class PackageInfo:
    """The package that a companion belongs to, as the companion's manifest names it."""

    name: str
    """The name of the distribution, such as `gofmt`."""
    version: str
    path: str
    """The path of the package's manifest in its wheel, such as `gofmt/_wazcache.json`."""


@dataclass(frozen=True)
class Manifest:
    """A package's manifest, or a companion's."""

    path: str
    """Its path in the wheel. Its folder is the package's."""
    profiles: Mapping[str, Settings]
    """The settings that an engine needs to load the artifacts of each profile."""
    assets: tuple[ManifestAsset, ...]
    compiler: Mapping[str, Settings]
    """The settings of each profile that only the compiler needed."""
    strip: tuple[str, ...]
    """The sections that were left out of each `.wasm` before it was compiled."""
    editable: EditableInfo | None = None
    companion: CompanionInfo | None = None
    """Only in a package's manifest, if the project has a companion."""
    package: PackageInfo | None = None
    """Only in a companion's manifest."""
    fallback: str = FALLBACKS[0]
    runtime: str | None = None
    """The requirement on the package whose loader loads the assets, if the option names one."""
    distribution: str | None = None
    """The name of the distribution that the package is part of. Not in a companion's manifest.

    A loader in another package needs it, to look up what is installed.
    """

    @property
    def artifacts(self) -> Iterator[ManifestArtifact]:
        """The artifacts of all assets."""
        return (artifact for asset in self.assets for artifact in asset.artifacts)

    @property
    def engines(self) -> tuple[str, ...]:
        """The versions of the engines that compiled the artifacts, in the order of these."""
        return tuple(dict.fromkeys(artifact.engine for artifact in self.artifacts))

    def member(self, file: str) -> str:
        """Return the path in the wheel of a file of the package."""
        return posixpath.join(posixpath.dirname(self.path), file)

    def settings(self, profile: str) -> dict[str, SettingValue]:
        """Return all settings that the artifacts of a profile are compiled with."""
        return {**self.profiles[profile], **self.compiler.get(profile, {})}

    def to_bytes(self) -> bytes:
        """Return the text of the manifest's file."""
        text = json.dumps(self._to_json(), indent=1, ensure_ascii=False, sort_keys=True)
        return f"{text}\n".encode()

    def _to_json(self) -> dict[str, object]:
        manifest: dict[str, object] = {
            "schema": SCHEMA,
            "profiles": self.profiles,
            "assets": {asset.name: _asset_to_json(asset) for asset in self.assets},
        }
        if self.compiler:
            manifest["compiler"] = self.compiler
        if self.strip:
            manifest["strip"] = list(self.strip)
        if self.fallback != FALLBACKS[0]:
            manifest["fallback"] = self.fallback
        if self.runtime is not None:
            manifest["runtime"] = self.runtime
        if self.distribution is not None:
            manifest["distribution"] = self.distribution
        if self.companion is not None:
            manifest["companion"] = vars(self.companion)
        if self.package is not None:
            manifest["package"] = vars(self.package)
        if self.editable is not None:
            wrote = sorted(self.editable.wrote)
            manifest["editable"] = {"project": self.editable.project, "wrote": wrote}
        return manifest


def _asset_to_json(asset: ManifestAsset) -> dict[str, object]:
    fields = vars(asset) | {"artifacts": list(map(_artifact_to_json, asset.artifacts))}
    del fields["name"], fields["stamp"], fields["profiles"]
    if asset.profiles:
        fields["profiles"] = list(asset.profiles)
    return fields if asset.stamp is None else fields | asset.stamp._asdict()


def _artifact_to_json(artifact: ManifestArtifact) -> dict[str, object]:
    fields = vars(artifact) | {"wasmtime": artifact.engine}
    del fields["engine"]
    return fields


def manifest_name(loader: str | None) -> str:
    """Return the file name of the manifest that belongs to a loader.

    Args:
        loader: the loader's file name; None for the default.
    """
    return str(PurePosixPath(loader or DEFAULT_LOADER).with_suffix(".json"))


def is_manifest(path: Path) -> bool:
    """Say whether a file is a manifest of any version; every `_wazcache.json` counts as one."""
    if path.name == manifest_name(None):
        return True
    try:
        return is_manifest_text(path.read_bytes())
    except OSError:
        return False


def may_be_manifest(text: bytes) -> bool:
    """Say whether a JSON text may be a manifest, without parsing it."""
    return all(field.encode() in text for field in _FIELDS)


def is_manifest_text(text: bytes) -> bool:
    """Say whether a JSON text has the fields of a manifest of any version."""
    if not may_be_manifest(text):
        return False
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.keys() >= _FIELDS


def read_editable_info(path: Path) -> EditableInfo | None:
    """Read what an editable install noted in its manifest.

    Returns:
        None if the file is not such a manifest.
    """
    try:
        manifest = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or manifest.get("schema") not in _EDITABLE_SCHEMAS:
        return None
    info = manifest.get("editable")
    if not isinstance(info, dict) or not isinstance(info.get("wrote"), list):
        return None
    wrote = tuple(name for name in info["wrote"] if isinstance(name, str))
    project = info.get("project")
    return EditableInfo(project if isinstance(project, str) else "", wrote)
