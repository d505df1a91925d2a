"""The manifest: what is in a package, from what and for whom. The loader reads it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_wazcache.engine.settings import Profile
    from hatch_wazcache.packing.plan import Artifact, Asset, Plan
    from hatch_wazcache.project.packages import Package

    DigestOf = Callable[[Artifact], tuple[str, int]]
    """Tells an artifact's SHA-256 (hexadecimal) and size in bytes."""

__all__ = ["SCHEMA", "manifest_for_editable", "manifest_for_wheel", "read_manifest"]

SCHEMA = 1
"""The loader refuses a manifest of another schema."""


def manifest_for_wheel(
    plan: Plan,
    package: Package,
    digest: DigestOf,
    *,
    keep_wasm: bool,
) -> bytes:
    """Write the manifest of a package in a wheel.

    Args:
        plan: the build's plan.
        package: one of its packages.
        digest: tells an artifact's SHA-256 (hexadecimal) and size in bytes.
        keep_wasm: whether the wheel holds the `.wasm` files.
    """

    def source(asset: Asset) -> dict[str, Any]:
        return {"wasm": asset.name if keep_wasm else None}

    return _text(_manifest(plan, package, digest, source))


def manifest_for_editable(
    plan: Plan,
    package: Package,
    digest: DigestOf,
    project: str,
    wrote: list[str],
) -> bytes:
    """Write the manifest of a package in a source tree.

    It also tells the time of each `.wasm` when it was read, so that artifacts of it are refused
    once it has changed.

    Args:
        plan: the build's plan.
        package: one of its packages.
        digest: as for a wheel.
        project: the project's name.
        wrote: the files of the package that the installation wrote, by their paths in it.
    """

    def source(asset: Asset) -> dict[str, Any]:
        return {
            "wasm": Path(os.path.relpath(asset.source, package.source)).as_posix(),
            "mtime_ns": asset.wasm.mtime_ns,
        }

    manifest = _manifest(plan, package, digest, source)
    manifest["editable"] = {"project": project, "wrote": sorted(wrote)}
    return _text(manifest)


def read_manifest(path: Path) -> Mapping[str, Any]:
    """Read a manifest; empty if there is none that can be read."""
    try:
        manifest = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return {}
    if isinstance(manifest, dict) and manifest.get("schema") == SCHEMA:
        return manifest
    return {}


def _manifest(
    plan: Plan,
    package: Package,
    digest: DigestOf,
    source: Callable[[Asset], dict[str, Any]],
) -> dict[str, Any]:
    assets: dict[str, Any] = {}
    profiles: dict[str, Profile] = {}
    for asset in plan.assets:
        if asset.package == package:
            assets[asset.name] = {
                "kind": asset.wasm.kind,
                "sha256": asset.wasm.sha256,
                "size": asset.wasm.size,
                "artifacts": [],
                **source(asset),
            }
            profiles.update({profile.name: profile for profile in asset.profiles})
    engine = ""
    strip: tuple[str, ...] = ()
    for artifact in plan.artifacts:
        if artifact.asset.package == package:
            engine, strip = artifact.key.engine, artifact.key.strip
            sha256, size = digest(artifact)
            assets[artifact.asset.name]["artifacts"].append(
                {
                    "file": artifact.name,
                    "target": artifact.system.name,
                    "cpu": artifact.cpu,
                    "profile": artifact.profile.name,
                    "sha256": sha256,
                    "size": size,
                }
            )
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "wasmtime": engine,
        "profiles": {name: _settings(profile) for name, profile in profiles.items()},
        "assets": assets,
    }
    compiled = {
        name: settings
        for name, profile in profiles.items()
        if (settings := _settings(profile, cli_only=True))
    }
    manifest |= {"compiler": compiled} if compiled else {}
    manifest |= {"strip": list(strip)} if strip else {}
    return manifest


def _settings(profile: Profile, *, cli_only: bool = False) -> dict[str, Any]:
    """Return the settings that an engine has to have, or those that only a compiler knows."""
    return {
        name: value
        for name, value in profile.settings.items()
        if SETTINGS[name].cli_only == cli_only
    }


def _text(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
