"""Reads a manifest that may be hostile: each field is checked before it is used."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import CPU_LEVELS, PROFILE_NAME, SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.formats.strip import STRIP_ALLOWED, read_strip
from hatch_wazcache.util.problems import Problems
from hatch_wazcache.wheels.manifest import (
    FALLBACKS,
    SCHEMA,
    CompanionInfo,
    Manifest,
    ManifestArtifact,
    ManifestAsset,
    PackageInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_wazcache.engine.settings import SettingValue

    Settings = Mapping[str, SettingValue]

__all__ = ["check_manifest", "is_path"]


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
        fallback = self._one_of({"fallback": FALLBACKS[0], **manifest}, "fallback", "", FALLBACKS)
        distribution = None
        if "distribution" in manifest:
            distribution = self._take(manifest, "distribution", "", _is_name, _NAME_ALLOWED)
        if "companion" in manifest and "package" in manifest:
            self.problems.add("has both companion and package; a companion has no companion")
        return Manifest(
            path=path,
            profiles=profiles,
            assets=assets,
            compiler=compiler,
            strip=read_strip(strip) or (),
            companion=self._companion(manifest) if "companion" in manifest else None,
            package=self._package(manifest) if "package" in manifest else None,
            fallback=fallback or FALLBACKS[0],
            runtime=self._runtime(manifest) if "runtime" in manifest else None,
            distribution=distribution,
        )

    def _runtime(self, manifest: Mapping[str, Any]) -> str | None:
        allowed = "a requirement on a runtime package"
        text: str | None = self._take(manifest, "runtime", "", _is_requirement, allowed)
        return text

    def _companion(self, manifest: Mapping[str, Any]) -> CompanionInfo | None:
        table = self._table(manifest, "companion", "")
        name = self._take(table, "name", "companion", _is_name, _NAME_ALLOWED)
        levels = self._take(table, "cpu", "companion", _are_levels, _LEVELS_ALLOWED)
        return None if None in (name, levels) else CompanionInfo(name, tuple(levels))

    def _package(self, manifest: Mapping[str, Any]) -> PackageInfo | None:
        table = self._table(manifest, "package", "")
        name = self._take(table, "name", "package", _is_name, _NAME_ALLOWED)
        version = self._take(table, "version", "package", _is_release, "a version such as 1.0.0")
        path = self._take(table, "path", "package", is_path, "a path in the package's wheel")
        return None if None in (name, version, path) else PackageInfo(name, version, path)

    def _table(self, table: Mapping[str, Any], field: str, where: str) -> dict[str, Any]:
        return self._take(table, field, where, _is_table, "a table") or {}

    def _profiles(
        self, manifest: Mapping[str, Any], field: str, *, cli_only: bool
    ) -> Iterator[tuple[str, Settings]]:
        for name, settings in self._table(manifest, field, "").items():
            where = f"{field}[{_shown(name)}]"
            if not re.fullmatch(PROFILE_NAME, name):
                self.problems.add(f"{where}: must be named with a-z, 0-9, - and _")
                continue
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
        names = self._take(
            {"profiles": [], **table}, "profiles", where, _are_of(profiles), "a list of profiles"
        )
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
        return ManifestAsset(name, kind, wasm, sha256, size, artifacts, tuple(names or ()))

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
        file = self._take(table, "file", where, is_path, "a path in the package")
        if self._is_listed_twice(f"{where}.file", file):
            return None
        target = self._one_of(table, "target", where, SYSTEMS)
        levels = _LEVELS
        if target is not None and not target.startswith("x86_64-"):
            levels = levels[:2]
        cpu = self._one_of(table, "cpu", where, levels)
        profile = self._one_of(table, "profile", where, profiles)
        engine = self._take(table, "wasmtime", where, _is_engine, "a version such as 48.0.0")
        sha256, size = self._digest(table, where)
        if None in (file, target, cpu, profile, engine, sha256, size):
            return None
        return ManifestArtifact(file, target, cpu, profile, engine, sha256, size)

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


_NAME_ALLOWED = "the name of a distribution"
_LEVELS = ("baseline", "native", *CPU_LEVELS)
_LEVELS_ALLOWED = f"a list of CPU levels: {', '.join(_LEVELS)}"

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


def _is_engine(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{1,6}\.\d+\.\d+[\w.+-]*", value) is not None


def _is_release(value: object) -> bool:
    """Say whether it can be the version of a package: the rest is compared, not read."""
    return isinstance(value, str) and re.fullmatch(r"\d[\w.!+-]{0,99}", value) is not None


def _is_name(value: object) -> bool:
    pattern = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,199}[A-Za-z0-9])?"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_requirement(value: object) -> bool:
    """Say whether it is a requirement on a distribution, without an address or a marker."""
    pattern = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199} ?(\[[\w, .-]{0,200}\])? ?[\w.*+!<>=~, ()-]{0,200}"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _are_levels(value: object) -> bool:
    """Say whether it is a list of different CPU levels."""
    return isinstance(value, list) and 0 < len(value) == sum(one in value for one in _LEVELS)


def _are_of(profiles: Mapping[str, Any]) -> Callable[[object], bool]:
    check = _is_one_of(profiles)
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def is_path(value: object) -> bool:
    """Say whether it is the path of a file below the package, in its shortest form."""
    if not isinstance(value, str) or not value:
        return False
    inside = not value.startswith("/") and value.partition("/")[0] not in (".", "..")
    return inside and posixpath.normpath(value) == value


def _is_path_or_null(value: object) -> bool:
    return value is None or is_path(value)


def _is_one_of(known: Any) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in known


def _shown(value: object) -> str:
    """Write a value as it is in the manifest, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
