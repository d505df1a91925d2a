"""Makes the manifests of a plan's packages, for a wheel or for an editable install."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.wheels.manifest import (
    CompanionInfo,
    EditableInfo,
    Manifest,
    ManifestArtifact,
    ManifestAsset,
    PackageInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.engine.settings import Profile, SettingValue
    from hatch_wazcache.formats.wasm import FileStamp
    from hatch_wazcache.packing.plan import Artifact, Asset, Plan
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Package
    from hatch_wazcache.project.project import Project

__all__ = [
    "manifest_for_companion",
    "manifest_for_editable",
    "manifest_for_wheel",
    "path_from_package",
]


def manifest_for_wheel(
    plan: Plan, package: Package, entries: Mapping[str, Entry], project: Project
) -> Manifest:
    """Make the manifest of a package in a wheel.

    Args:
        plan: the build's plan.
        package: one of its packages.
        entries: the entries of the plan's artifacts, by the digests of their keys.
        project: the project of the wheel.
    """
    config = project.config
    artifacts = _artifacts(plan, package, entries, lambda artifact: artifact.name)
    assets = [
        _asset(asset, artifacts, asset.name if config.keep_wasm else None)
        for asset in plan.assets
        if asset.package == package
    ]
    manifest = _manifest(plan, package, assets, config.strip, config)
    return _with_options(manifest, plan, project)


def manifest_for_companion(
    plan: Plan,
    package: Package,
    entries: Mapping[str, Entry],
    strip: tuple[str, ...],
    about: PackageInfo,
) -> Manifest:
    """Make the manifest of a package's companion.

    Args:
        plan: the companion's plan.
        package: one of its packages.
        entries: the entries of the plan's artifacts, by the digests of their keys.
        strip: as in the manifest of the package.
        about: the package.
    """
    artifacts = _artifacts(plan, package, entries, lambda artifact: artifact.name)
    assets = [_asset(asset, artifacts, None) for asset in plan.assets if asset.package == package]
    return replace(_manifest(plan, package, assets, strip), package=about)


def manifest_for_editable(
    plan: Plan, package: Package, entries: Mapping[str, Entry], project: Project, wrote: list[str]
) -> Manifest:
    """Make the manifest of a package in a source tree.

    It also holds the stamp of each `.wasm`. Once that has changed, the loader compares digests.

    Args:
        plan: the build's plan.
        package: one of its packages.
        entries: the entries of the plan's artifacts, by the digests of their keys.
        project: the installed project.
        wrote: the files of the package that the installation wrote, by their paths in it.
    """
    artifacts = _artifacts(
        plan, package, entries, lambda artifact: path_from_package(package, artifact.editable_path)
    )
    assets = []
    for asset in plan.assets:
        if asset.package == package:
            wasm = path_from_package(package, asset.source)
            assets.append(_asset(asset, artifacts, wasm, asset.wasm.stamp))
    config, editable = project.config, EditableInfo(project.name, tuple(wrote))
    manifest = _manifest(plan, package, assets, config.strip, config)
    return replace(_with_options(manifest, plan, project), editable=editable)


def path_from_package(package: Package, path: Path) -> str:
    """Return the path of a file in the source tree, from the package's folder.

    A file outside that folder has a path with `..`, which the system follows from the real folder.
    """
    if path.is_relative_to(package.source):
        return path.relative_to(package.source).as_posix()
    real = os.path.join(os.path.realpath(path.parent), path.name)
    return Path(os.path.relpath(real, os.path.realpath(package.source))).as_posix()


def _manifest(
    plan: Plan,
    package: Package,
    assets: list[ManifestAsset],
    strip: tuple[str, ...],
    config: Config | None = None,
) -> Manifest:
    """Make a manifest. Its profiles are those of the assets; of a runtime package, all."""
    profiles = {
        profile.name: profile
        for asset in plan.assets
        if asset.package == package
        for profile in asset.profiles
    }
    if config is not None and not plan.assets:
        profiles = {name: config.profiles[name] for name in config.asset_profiles}
    compiler = {name: _settings(profile, cli_only=True) for name, profile in profiles.items()}
    return Manifest(
        path=package.file(package.manifest),
        profiles={name: _settings(profile) for name, profile in profiles.items()},
        assets=tuple(assets),
        compiler={name: settings for name, settings in compiler.items() if settings},
        strip=strip,
    )


def _with_options(manifest: Manifest, plan: Plan, project: Project) -> Manifest:
    """Add the names and options that loaders need, and those that companions are made with."""
    config = project.config
    manifest = replace(
        manifest,
        fallback=config.fallback,
        runtime=config.runtime,
        distribution=project.name,
    )
    if config.companion is None:
        return manifest
    profiles = {asset.distribution: asset.profiles for asset in plan.assets}
    assets = []
    for asset in manifest.assets:
        names = tuple(profile.name for profile in profiles[manifest.member(asset.name)])
        has_all = len(names) == len(manifest.profiles)
        assets.append(replace(asset, profiles=() if has_all else names))
    companion = CompanionInfo(config.companion, config.cpu)
    return replace(manifest, assets=tuple(assets), companion=companion)


def _artifacts(
    plan: Plan,
    package: Package,
    entries: Mapping[str, Entry],
    path: Callable[[Artifact], str],
) -> Mapping[str, list[ManifestArtifact]]:
    """Describe a package's artifacts, by the names of their assets.

    Args:
        plan: the build's plan.
        package: one of its packages.
        entries: the entries of the plan's artifacts, by the digests of their keys.
        path: returns an artifact's path from the package's folder.
    """
    described = defaultdict(list)
    for artifact in plan.artifacts:
        if artifact.asset.package == package:
            entry = entries[artifact.key.digest]
            described[artifact.asset.name].append(
                ManifestArtifact(
                    file=path(artifact),
                    target=artifact.system.name,
                    cpu=artifact.cpu,
                    profile=artifact.profile.name,
                    engine=entry.compiled_by,
                    sha256=entry.sha256,
                    size=entry.size,
                )
            )
    return described


def _asset(
    asset: Asset,
    artifacts: Mapping[str, list[ManifestArtifact]],
    wasm: str | None,
    stamp: FileStamp | None = None,
) -> ManifestAsset:
    return ManifestAsset(
        name=asset.name,
        kind=asset.wasm.kind,
        wasm=wasm,
        sha256=asset.wasm.sha256,
        size=asset.wasm.size,
        artifacts=tuple(artifacts.get(asset.name, ())),
        stamp=stamp,
    )


def _settings(profile: Profile, *, cli_only: bool = False) -> dict[str, SettingValue]:
    """Return the settings that an engine needs, or those that only a compiler knows."""
    return {
        name: value
        for name, value in profile.settings.items()
        if SETTINGS[name].cli_only == cli_only
    }
