"""What a manifest claims, each field checked before it is believed."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import CPU_LEVELS, SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.formats.wasm import STRIP_ALLOWED, read_strip
from hatch_wazcache.util.problems import Problems
from hatch_wazcache.wheels.manifest import SCHEMA
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.formats.wasm import Kind
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["Manifest", "ManifestArtifact", "ManifestAsset", "check_manifest"]


@dataclass(frozen=True)
class ManifestArtifact:
    """What is claimed of an artifact."""

    member: str
    """Its path in the wheel."""
    system: str
    cpu: str
    profile: str
    sha256: str
    size: int


@dataclass(frozen=True)
class ManifestAsset:
    """What is claimed of an asset."""

    name: str
    """Its path in the package."""
    kind: Kind
    member: str | None
    """The path of the `.wasm` in the wheel; None if the wheel does not hold it."""
    sha256: str
    size: int
    artifacts: tuple[ManifestArtifact, ...]


@dataclass(frozen=True)
class Manifest:
    """What a manifest claims."""

    member: str
    """The manifest's path in the wheel."""
    engine: str
    """wasmtime's own version; empty if there are no artifacts."""
    profiles: Mapping[str, Mapping[str, SettingValue]]
    """What an engine needs to load their artifacts."""
    compiler: Mapping[str, Mapping[str, SettingValue]]
    """What of a profile only the compiler was told."""
    strip: tuple[str, ...]
    """The sections that were left out before a `.wasm` was compiled."""
    assets: tuple[ManifestAsset, ...]

    def settings(self, artifact: ManifestArtifact) -> dict[str, SettingValue]:
        """Return all settings that an artifact was compiled with."""
        profile = artifact.profile
        return {**self.profiles[profile], **self.compiler.get(profile, {})}


def check_manifest(wheel: WheelReader, member: str) -> tuple[Manifest | None, list[str]]:
    """Read a manifest.

    Args:
        wheel: that holds it, or should.
        member: its path there, which it names its package's files from.

    Returns:
        The claims that can be believed, None if there are none at all; and what is wrong with the
        others.
    """
    if member not in wheel:
        return None, ["is missing: the loader beside it reads it"]
    try:
        manifest = json.loads(wheel.text(member))
    except BrokenWheelError as error:
        return None, [str(error)]
    except (ValueError, RecursionError) as error:
        return None, [f"it is no JSON ({error})"]
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        return None, [f"its schema is {_shown(schema)}; this hatch-wazcache knows {SCHEMA}"]
    return _Reader(member).read(manifest)


class _Reader:
    """Takes values out of a manifest and collects what is wrong with them."""

    def __init__(self, member: str) -> None:
        self._member = member
        self._folder = posixpath.dirname(member)
        self._problems = Problems(_shown)
        self._take = self._problems.take

    def read(self, manifest: dict[str, Any]) -> tuple[Manifest, list[str]]:
        if "editable" in manifest:
            self._problems.add("it was written for an editable install, not for a wheel")
        profiles = dict(self._profiles(manifest, "profiles", cli_only=False))
        compiler = dict(self._profiles({"compiler": {}, **manifest}, "compiler", cli_only=True))
        strip = self._take({"strip": [], **manifest}, "strip", "", _is_strip, STRIP_ALLOWED)
        tables = self._table(manifest, "assets", "")
        assets = [self._asset(name, about, profiles) for name, about in tables.items()]
        believed = tuple(asset for asset in assets if asset is not None)
        engine = self._take(manifest, "wasmtime", "", _is_version, "a version such as 48.0.0")
        if not engine and any(asset.artifacts for asset in believed):
            self._problems.wrong("wasmtime", "", "a version such as 48.0.0")
        claims = Manifest(
            member=self._member,
            engine=engine or "",
            profiles=profiles,
            compiler=compiler,
            strip=read_strip(strip) or (),
            assets=believed,
        )
        return claims, self._problems.lines

    def _table(self, table: Mapping[str, Any], field: str, where: str) -> dict[str, Any]:
        return self._take(table, field, where, _is_table, "a table") or {}

    def _profiles(
        self, manifest: Mapping[str, Any], field: str, *, cli_only: bool
    ) -> Iterator[tuple[str, Mapping[str, SettingValue]]]:
        for name, settings in self._table(manifest, field, "").items():
            where = f"{field}[{_shown(name)}]"
            if not isinstance(settings, Mapping):
                self._problems.wrong(where, settings, "a table of settings")
                continue
            before = len(self._problems.lines)
            for setting, value in settings.items():
                known = SETTINGS.get(setting)
                if known is None or known.cli_only != cli_only:
                    self._problems.add(f"{where}.{setting}: there is no such setting")
                elif not known.accepts(value):
                    self._problems.wrong(f"{where}.{setting}", value, known.allowed())
            if len(self._problems.lines) == before:
                yield name, settings

    def _asset(self, name: str, about: Any, profiles: Mapping[str, Any]) -> ManifestAsset | None:
        where = f"assets[{_shown(name)}]"
        if not isinstance(about, Mapping):
            self._problems.wrong(where, about, "a table")
            return None
        before = len(self._problems.lines)
        kind = self._take(about, "kind", where, _is_kind, '"module" or "component"')
        wasm = self._take(about, "wasm", where, _is_path_or_null, "a path in the package, or null")
        sha256, size = self._digest(about, where)
        artifacts = self._take(about, "artifacts", where, _is_list, "a list of tables")
        if "mtime_ns" in about:
            self._problems.add(f"{where}.mtime_ns: is for an editable install, not for a wheel")
        claims = [
            self._artifact(artifact, f"{where}.artifacts[{number}]", profiles)
            for number, artifact in enumerate(artifacts or [])
        ]
        believed = tuple(claim for claim in claims if claim is not None)
        if wasm is None and not claims and before == len(self._problems.lines):
            self._problems.add(f"{where}.artifacts = []: there is no wasm either")
        if kind is None or sha256 is None or size is None:
            return None
        member = None if wasm is None else self._path(wasm)
        return ManifestAsset(name, kind, member, sha256, size, believed)

    def _artifact(
        self, about: Any, where: str, profiles: Mapping[str, Any]
    ) -> ManifestArtifact | None:
        if not isinstance(about, Mapping):
            self._problems.wrong(where, about, "a table")
            return None
        file = self._take(about, "file", where, _is_path, "a path in the package")
        systems, profile_names = ", ".join(SYSTEMS), ", ".join(profiles)
        system = self._take(about, "target", where, _is_one_of(SYSTEMS), f"one of {systems}")
        levels = ("baseline", "native", *CPU_LEVELS)
        if system is not None and not system.startswith("x86_64-"):
            levels = levels[:2]
        cpu = self._take(about, "cpu", where, _is_one_of(levels), f"one of {', '.join(levels)}")
        profile = self._take(
            about, "profile", where, _is_one_of(profiles), f"one of {profile_names}"
        )
        sha256, size = self._digest(about, where)
        if None in (file, system, cpu, profile, sha256, size):
            return None
        return ManifestArtifact(self._path(file), system, cpu, profile, sha256, size)

    def _digest(self, about: Mapping[str, Any], where: str) -> tuple[Any, Any]:
        sha256 = self._take(about, "sha256", where, _is_sha256, "64 hexadecimal digits")
        return sha256, self._take(about, "size", where, _is_size, "a number of bytes")

    def _path(self, name: str) -> str:
        return posixpath.join(self._folder, name)


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
    """Say whether it is a file's path below the package, in the one way to write it."""
    if not isinstance(value, str) or not value:
        return False
    inside = not value.startswith("/") and value.partition("/")[0] not in (".", "..")
    return inside and posixpath.normpath(value) == value


def _is_path_or_null(value: object) -> bool:
    return value is None or _is_path(value)


def _is_one_of(known: Any) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in known


def _shown(value: object) -> str:
    """Write a value as it stands in the manifest, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
