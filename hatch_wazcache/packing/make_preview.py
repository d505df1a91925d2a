"""Finds out what a build would make, without making it. Nothing is written.

The engines, assets and artifacts come from the same plan as those of a build. A wasmtime that a
build would have to fetch or install is not there yet; its artifacts have no key and no size.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.cache.entry import BrokenEntryError
from hatch_wazcache.cache.items import entries
from hatch_wazcache.engine.installed import Engine, installed_wasmtime
from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import WasmReader
from hatch_wazcache.formats.zip_members import Deflated
from hatch_wazcache.packing.build import engine_warnings
from hatch_wazcache.packing.plan import make_plan
from hatch_wazcache.packing.preview import (
    ArtifactPreview,
    AssetPreview,
    EnginePreview,
    Preview,
    WheelPreview,
)
from hatch_wazcache.project.installed_requirements import is_installed, is_wasmtime, parse
from hatch_wazcache.resources import companion_folder
from hatch_wazcache.wheels.companion_files import companion_version, version_problem
from hatch_wazcache.wheels.wheel_tag import wheel_tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.cache.items import EntryItem
    from hatch_wazcache.cache.key import ArtifactKey
    from hatch_wazcache.engine.targets import Target
    from hatch_wazcache.packing.plan import Artifact, Asset
    from hatch_wazcache.packing.preview import Release
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.project import Project

__all__ = ["make_preview", "stored_key"]

_VERSION_0 = "0"


class _Store:
    """The entries of a cache, for reading only."""

    def __init__(self, cache: Path) -> None:
        self._items = {item.key: item for item in entries(cache)}

    def artifact(self, artifact: Artifact, folder: str = "") -> ArtifactPreview:
        """Look an artifact up.

        Args:
            artifact: an artifact of a plan.
            folder: the folder of a companion, with a slash at the end.
        """
        entry = None
        if artifact.engine.distribution_version:
            entry = self._entry(stored_key(artifact, self._items).digest)
        return ArtifactPreview(artifact, f"{folder}{artifact.distribution}", entry)

    def asset(self, asset: Asset) -> AssetPreview:
        if asset.job.is_small:
            return AssetPreview(asset, Deflated.of(asset.read()).stream_size)
        entry = self._entry(asset.job.key.digest)
        return AssetPreview(asset, None if entry is None else entry.stream_size)

    def _entry(self, digest: str) -> Entry | None:
        item = self._items.get(digest)
        try:
            return None if item is None else item.read()
        except (BrokenEntryError, OSError):
            return None  # a build makes it again


def stored_key(artifact: Artifact, items: Mapping[str, EntryItem]) -> ArtifactKey:
    """Return the key of an artifact; with the version of another wasmtime CLI, if one made it.

    Args:
        artifact: an artifact of a plan.
        items: the entries of the cache by their keys.
    """
    major = f"{artifact.engine.major}."
    if artifact.key.digest not in items and artifact.job.needs_wasmtime_cli:
        found = {item.engine for item in items.values() if item.engine}
        for version in sorted(version for version in found if version.startswith(major)):
            key = replace(artifact.key, engine=version)
            if key.digest in items:
                return key
    return artifact.key


def make_preview(project: Project, release: Release, cache: Path) -> Preview:
    """Find out what builds for all targets of a project would make, without making it.

    Args:
        project: what to build.
        release: the names of the build system's own wheel.
        cache: the folder of the cache, which may not exist.

    Raises:
        WazcacheError: an asset or an engine is not fit to build.
    """
    project = project.with_runtime(may_fetch=False)
    targets = _possible_targets(project.config, release)
    engines = _engines(project, targets)
    warnings = [*(project.runtime_warnings or ()), *_warnings(project, engines, targets)]
    wheels = _Wheels(project, release, engines, _Store(cache))
    made = (
        [wheels.own(target) for target in targets]
        if project.config.companion is None
        else wheels.with_companions(targets)
    )
    return Preview(project.name, release.version, tuple(engines), tuple(made), tuple(warnings))


class _Wheels:
    """Describes the wheels of one project."""

    def __init__(
        self,
        project: Project,
        release: Release,
        engines: Sequence[EnginePreview],
        store: _Store,
    ) -> None:
        self._project = project
        self._release = release
        self._engines = [one.engine for one in engines]
        self._store = store
        self._reader = WasmReader()

    def own(self, target: Target) -> WheelPreview:
        """Describe the package's own wheel for a target."""
        config, layout = self._project.config, self._project.layout
        engines = self._engines if target.systems else []
        plan = make_plan(config, target, layout, engines, self._reader)
        tag = self._release.tag
        return WheelPreview(
            self._project.name,
            self._release.version,
            None if tag is None else wheel_tag(tag, target, config.location),
            target,
            None,
            tuple(map(self._store.asset, plan.assets if config.keep_wasm else ())),
            tuple(map(self._store.artifact, plan.artifacts)),
        )

    def with_companions(self, targets: Sequence[Target]) -> list[WheelPreview]:
        """Describe the package's wheel for `any`, its companions, and the companion of version 0.

        Raises:
            WazcacheError: the project's version can have no companions, or as for `make_plan`.
        """
        name, version = self._project.config.companion or "", self._release.version
        if version is not None and (problem := version_problem(version)):
            raise WazcacheError(f"project.version: {problem}")
        companions = [
            self._companion(name, engine, target)
            for engine in self._engines
            for target in targets
            if target.systems
        ]
        any_target = TARGETS["any"]
        tag = wheel_tag(None, any_target, "")
        version_0 = WheelPreview(name, _VERSION_0, tag, any_target, None, (), ())
        return [self.own(any_target), *companions, version_0]

    def _companion(self, name: str, engine: Engine, target: Target) -> WheelPreview:
        config, layout = self._project.config, self._project.layout
        # As if the package's wheel held the artifacts, and named the engine: the keys are the same.
        config = config._replace(companion=None, engines=(f"wasmtime=={engine.version}",))
        plan = make_plan(config, target, layout, [engine], self._reader)
        version, folder = self._release.version, f"{companion_folder(name)}/"
        return WheelPreview(
            name,
            companion_version(engine.major, version) if version and engine.major else None,
            wheel_tag(None, target, ""),
            target,
            engine,
            (),
            tuple(self._store.artifact(one, folder) for one in plan.artifacts),
        )


def _possible_targets(config: Config, release: Release) -> list[Target]:
    """Return the targets to make wheels for; those of this platform, if the files are for one."""
    platform = "any" if release.tag is None else release.tag.rpartition("-")[2]
    targets = config.possible_targets
    if platform == "any":
        return list(targets)
    return [target for target in TARGETS.values() if target.accepts(platform)] or list(targets)


def _engines(project: Project, targets: Sequence[Target]) -> list[EnginePreview]:
    """Return the engines of a build, the newest first, without fetching or installing one."""
    config = project.config
    if not any(target.systems for target in targets):
        return []
    if config.engines:
        from hatch_wazcache.project.engines import engine_at_hand

        found = []
        for text in config.engines:
            engine = engine_at_hand(text, config, project.layout.root)
            found.append(EnginePreview(text, engine or _unknown(text)))
        return sorted(found, key=lambda one: one.engine.major, reverse=True)
    lines = [line for line in project.requirement.needed(targets) if is_wasmtime(line)]
    text = ", ".join(lines)
    if is_installed(lines):
        return [EnginePreview(text, installed_wasmtime().engine())]
    return [EnginePreview(text, _unknown(*lines))]


def _unknown(*lines: str) -> Engine:
    """Return an engine of which only the major version is known, or 0."""
    from hatch_wazcache.engine.requirements import one_major

    majors = {one_major(parse(line)) for line in lines} - {None}
    return Engine(f"{majors.pop() if len(majors) == 1 else 0}", "", Path(), "", musl=False)


def _warnings(
    project: Project, engines: Sequence[EnginePreview], targets: Sequence[Target]
) -> list[str]:
    """Return the warnings of builds about users who have another wasmtime.

    Raises:
        WazcacheError: no user of a target has one of the engines.
    """
    wasmtime = None
    if not project.config.engines:
        if not all(one.is_known for one in engines):
            return []  # the build checks the version that it installs
        wasmtime = installed_wasmtime() if engines else None
    texts: list[str] = []
    for target in targets:
        if target.systems:
            texts += engine_warnings(project, wasmtime, target)[0]
    return list(dict.fromkeys(texts))
