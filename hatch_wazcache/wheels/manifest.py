"""The format of the manifest: the artifacts of a package, their origin, and their use.

A build writes a `Manifest`, and the loader reads it at run time. `check_manifest` reads a manifest
that may be hostile: it checks each field before it uses it.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import CPU_LEVELS, SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.formats.strip import STRIP_ALLOWED, read_strip
from hatch_wazcache.util.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.formats.sections import Kind
    from hatch_wazcache.formats.wasm import FileStamp

    Settings = Mapping[str, SettingValue]

__all__ = [
    "DEFAULT_LOADER",
    "EditableInfo",
    "Manifest",
    "ManifestArtifact",
    "ManifestAsset",
    "check_manifest",
    "is_manifest",
    "is_manifest_text",
    "manifest_name",
    "may_be_manifest",
    "read_editable_info",
]

SCHEMA = 1
"""The loader refuses a manifest of another schema."""

_FIELDS = frozenset({"schema", "wasmtime", "assets"})
"""The fields that identify a manifest of any version."""

DEFAULT_LOADER = "_wazcache.py"
"""The file name of a loader, unless the option `loader` names another."""


@dataclass(frozen=True)
class ManifestArtifact:
    """An artifact, as a manifest describes it."""

    file: str
    """Its path in the package."""
    target: str
    """The name of the system that it was compiled for."""
    cpu: str
    profile: str
    sha256: str
    size: int


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
class Manifest:
    """A package's manifest."""

    path: str
    """Its path in the wheel. Its folder is the package's."""
    engine: str
    """The version of the engine; empty if there are no artifacts."""
    profiles: Mapping[str, Settings]
    """The settings that an engine needs to load the artifacts of each profile."""
    assets: tuple[ManifestAsset, ...]
    compiler: Mapping[str, Settings]
    """The settings of each profile that only the compiler needed."""
    strip: tuple[str, ...]
    """The sections that were left out of each `.wasm` before it was compiled."""
    editable: EditableInfo | None = None

    def member(self, file: str) -> str:
        """Return the path in the wheel of a file of the package."""
        return posixpath.join(posixpath.dirname(self.path), file)

    def settings(self, artifact: ManifestArtifact) -> dict[str, SettingValue]:
        """Return all settings that an artifact was compiled with."""
        profile = artifact.profile
        return {**self.profiles[profile], **self.compiler.get(profile, {})}

    def to_bytes(self) -> bytes:
        """Return the text of the manifest's file."""
        text = json.dumps(self._to_json(), indent=1, ensure_ascii=False, sort_keys=True)
        return f"{text}\n".encode()

    def _to_json(self) -> dict[str, object]:
        manifest: dict[str, object] = {
            "schema": SCHEMA,
            "wasmtime": self.engine,
            "profiles": self.profiles,
            "assets": {asset.name: _asset_to_json(asset) for asset in self.assets},
        }
        if self.compiler:
            manifest["compiler"] = self.compiler
        if self.strip:
            manifest["strip"] = list(self.strip)
        if self.editable is not None:
            wrote = sorted(self.editable.wrote)
            manifest["editable"] = {"project": self.editable.project, "wrote": wrote}
        return manifest


def _asset_to_json(asset: ManifestAsset) -> dict[str, object]:
    fields = vars(asset) | {"artifacts": [vars(artifact) for artifact in asset.artifacts]}
    del fields["name"], fields["stamp"]
    return fields if asset.stamp is None else fields | asset.stamp._asdict()


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
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        return None
    info = manifest.get("editable")
    if not isinstance(info, dict) or not isinstance(info.get("wrote"), list):
        return None
    wrote = tuple(name for name in info["wrote"] if isinstance(name, str))
    project = info.get("project")
    return EditableInfo(project if isinstance(project, str) else "", wrote)


def check_manifest(text: bytes, path: str) -> tuple[Manifest | None, list[str]]:
    """Read an untrusted manifest of a wheel.

    Args:
        text: the content of the manifest.
        path: its path in the wheel.

    Returns:
        The manifest without the parts that are wrong, or None if nothing of it can be used; and a
        message for each wrong part. If very many parts are wrong, nothing of it can be used.
    """
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        return None, [f"is not valid JSON ({error})"]
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        return None, [f"has schema {_shown(schema)}; this hatch-wazcache reads schema {SCHEMA}"]
    reader = _Reader()
    try:
        return reader.read(manifest, path), reader.problems.lines
    except _TooManyProblemsError:
        return None, [*reader.problems.lines, "has more problems than these"]


class _TooManyProblemsError(Exception):
    """A manifest has so many problems that the rest of it is not read."""


class _Reader:
    """Reads the fields of a manifest, and collects their problems."""

    def __init__(self) -> None:
        self.problems = Problems(_shown)
        self._take = self.problems.take
        self._files: set[str] = set()
        """The files of all assets and artifacts that were read."""

    def read(self, manifest: dict[str, Any], path: str) -> Manifest:
        if "editable" in manifest:
            self.problems.add(
                "belongs to an editable install, not to a wheel; hatch-wazcache did not run when "
                "this wheel was built"
            )
        profiles = dict(self._profiles(manifest, "profiles", cli_only=False))
        compiler = dict(self._profiles({"compiler": {}, **manifest}, "compiler", cli_only=True))
        strip = self._take({"strip": [], **manifest}, "strip", "", _is_strip, STRIP_ALLOWED)
        tables = self._table(manifest, "assets", "")
        read = [self._asset(name, table, profiles) for name, table in tables.items()]
        assets = tuple(asset for asset in read if asset is not None)
        engine = self._take(manifest, "wasmtime", "", _is_version, _VERSION_ALLOWED)
        if not engine and any(asset.artifacts for asset in assets):
            self.problems.wrong("wasmtime", "", _VERSION_ALLOWED)
        return Manifest(
            path=path,
            engine=engine or "",
            profiles=profiles,
            assets=assets,
            compiler=compiler,
            strip=read_strip(strip) or (),
        )

    def _table(self, table: Mapping[str, Any], field: str, where: str) -> dict[str, Any]:
        return self._take(table, field, where, _is_table, "a table") or {}

    def _profiles(
        self, manifest: Mapping[str, Any], field: str, *, cli_only: bool
    ) -> Iterator[tuple[str, Settings]]:
        for name, settings in self._table(manifest, field, "").items():
            where = f"{field}[{_shown(name)}]"
            if not isinstance(settings, Mapping):
                self.problems.wrong(where, settings, "a table of settings")
                continue
            before = self._count_problems()
            for setting, value in settings.items():
                known = SETTINGS.get(setting)
                if known is None or known.cli_only != cli_only:
                    self.problems.add(f"{where}.{setting}: there is no such setting")
                elif not known.accepts(value):
                    self.problems.wrong(f"{where}.{setting}", value, known.allowed())
            if self._count_problems() == before:
                yield name, settings

    def _asset(self, name: str, table: Any, profiles: Mapping[str, Any]) -> ManifestAsset | None:
        where = f"assets[{_shown(name)}]"
        before = self._count_problems()
        if not isinstance(table, Mapping):
            self.problems.wrong(where, table, "a table")
            return None
        kind = self._take(table, "kind", where, _is_kind, '"module" or "component"')
        wasm = self._take(table, "wasm", where, _is_path_or_null, "a path in the package, or null")
        sha256, size = self._digest(table, where)
        tables = self._take(table, "artifacts", where, _is_list, "a list of tables")
        if "mtime_ns" in table:
            self.problems.add(f"{where}.mtime_ns: belongs to an editable install, not to a wheel")
        read = [
            self._artifact(artifact, f"{where}.artifacts[{number}]", profiles)
            for number, artifact in enumerate(tables or [])
        ]
        artifacts = tuple(artifact for artifact in read if artifact is not None)
        if wasm is None and not read and before == self._count_problems():
            self.problems.add(f"{where}.artifacts = []: the asset has no wasm either")
        listed_twice = self._is_listed_twice(f"{where}.wasm", wasm)
        if listed_twice or kind is None or sha256 is None or size is None:
            return None
        return ManifestAsset(name, kind, wasm, sha256, size, artifacts)

    def _count_problems(self) -> int:
        """Return the number of problems up to here.

        Raises:
            _TooManyProblemsError: there are very many.
        """
        count = len(self.problems.lines)
        if count > _MOST_PROBLEMS:
            raise _TooManyProblemsError
        return count

    def _artifact(
        self, table: Any, where: str, profiles: Mapping[str, Any]
    ) -> ManifestArtifact | None:
        self._count_problems()
        if not isinstance(table, Mapping):
            self.problems.wrong(where, table, "a table")
            return None
        file = self._take(table, "file", where, _is_path, "a path in the package")
        if self._is_listed_twice(f"{where}.file", file):
            return None
        target = self._one_of(table, "target", where, SYSTEMS)
        levels = ("baseline", "native", *CPU_LEVELS)
        if target is not None and not target.startswith("x86_64-"):
            levels = levels[:2]
        cpu = self._one_of(table, "cpu", where, levels)
        profile = self._one_of(table, "profile", where, profiles)
        sha256, size = self._digest(table, where)
        if None in (file, target, cpu, profile, sha256, size):
            return None
        return ManifestArtifact(file, target, cpu, profile, sha256, size)

    def _is_listed_twice(self, where: str, file: str | None) -> bool:
        """Report a file that is listed twice: each file is checked only once."""
        if file in self._files:
            self.problems.wrong(where, file, "a file that the manifest lists only once")
            return True
        self._files |= {file} if file is not None else set()
        return False

    def _one_of(self, table: Mapping[str, Any], field: str, where: str, known: Any) -> Any:
        check = _is_one_of(known)
        allowed = f"one of {', '.join(islice(known, _MOST_NAMED))}"
        return self._take(table, field, where, check, allowed)

    def _digest(self, table: Mapping[str, Any], where: str) -> tuple[Any, Any]:
        sha256 = self._take(table, "sha256", where, _is_sha256, "64 hexadecimal digits")
        return sha256, self._take(table, "size", where, _is_size, "a number of bytes")


_VERSION_ALLOWED = "a version such as 48.0.0"

_MOST_PROBLEMS = 100
_MOST_NAMED = 20
"""The most values that a message names."""


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_kind(value: object) -> bool:
    return value in ("module", "component")


def _is_strip(value: object) -> bool:
    return read_strip(value) is not None


def _is_version(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"(\d+\.\d+\.\d+[\w.+-]*)?", value) is not None


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_path(value: object) -> bool:
    """Say whether it is the path of a file below the package, in its shortest form."""
    if not isinstance(value, str) or not value:
        return False
    inside = not value.startswith("/") and value.partition("/")[0] not in (".", "..")
    return inside and posixpath.normpath(value) == value


def _is_path_or_null(value: object) -> bool:
    return value is None or _is_path(value)


def _is_one_of(known: Any) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in known


def _shown(value: object) -> str:
    """Write a value as it is in the manifest, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
