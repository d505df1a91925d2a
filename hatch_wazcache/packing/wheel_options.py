"""The options of a wheel that is compiled already, as its manifests tell them.

With them, a wheel without its project is compiled again as it was.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.target_fields import CPUS
from hatch_wazcache.wheels.manifest import DEFAULT_LOADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.wheels.manifest import Manifest, ManifestAsset

__all__ = ["engines_of", "options_of"]

_ALL = "**/*.wasm"
"""The assets of a wheel that does not name any."""


def options_of(wheel: FinishedWheel) -> dict[str, Any]:
    """Return the table of options that a wheel was compiled with.

    For a wheel without manifests, the assets are all its `.wasm` files, and nothing else is said.

    Raises:
        WazcacheError: its manifests contradict each other.
    """
    manifests = [one for one in wheel.manifests if one.package is None]
    if not manifests:
        return {"assets": _ALL}
    table: dict[str, Any] = {
        "assets": _assets(manifests) or _ALL,
        "strip": list(manifests[0].strip),
        "fallback": manifests[0].fallback,
        "sbom": wheel.has_sbom,
    }
    if manifests[0].companion is not None:
        table["companion"] = manifests[0].companion.name
        table["cpu"] = list(manifests[0].companion.cpu)
    elif cpus := {artifact.cpu for one in manifests for artifact in one.artifacts}:
        table["cpu"] = sorted(cpus, key=CPUS.index, reverse=True)
    table |= _how_to_load(wheel, manifests)
    if any(".wasmtime" in artifact.file for one in manifests for artifact in one.artifacts):
        table["engines"] = engines_of(wheel)
    if target := _target(wheel):
        table["targets"] = target
    return table


def _how_to_load(wheel: FinishedWheel, manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Return the runtime of a wheel, or its profiles and its loader."""
    if manifests[0].runtime is not None:
        return {"runtime": manifests[0].runtime}
    table: dict[str, Any] = {"profiles": _profiles(wheel, manifests)}
    loaders = [PurePosixPath(one) for one in wheel.loaders]
    if not loaders:
        table["loader"] = False
    elif loaders[0].name != DEFAULT_LOADER:
        table["loader"] = str(loaders[0])
    return table


def engines_of(wheel: FinishedWheel) -> list[str]:
    """Return the major versions of wasmtime that a wheel has artifacts for."""
    majors = {artifact.major for one in wheel.manifests for artifact in one.artifacts}
    return [str(major) for major in sorted(majors)]


def _assets(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    return [
        {"path": manifest.member(asset.name), "profiles": _names(manifest, asset)}
        for manifest in manifests
        for asset in manifest.assets
    ]


def _names(manifest: Manifest, asset: ManifestAsset) -> list[str]:
    """Return the names of an asset's profiles."""
    compiled = dict.fromkeys(artifact.profile for artifact in asset.artifacts)
    return list(asset.profiles or compiled or manifest.profiles)


def _profiles(wheel: FinishedWheel, manifests: Sequence[Manifest]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for manifest in manifests:
        for name in manifest.profiles:
            settings = manifest.settings(name)
            if found.setdefault(name, settings) != settings:
                raise WazcacheError(
                    f"{wheel.path}: its manifests have different settings for the profile {name}; "
                    "compile it with the options of its project (--project)"
                )
    return found


def _target(wheel: FinishedWheel) -> str | None:
    """Return the target that a wheel is for; None if neither its artifacts nor its tag say it."""
    has_companions = any(one.companion is not None for one in wheel.manifests)
    if wheel.path.stem.endswith("-any") and not has_companions:
        return "any"
    systems = {artifact.target for one in wheel.manifests for artifact in one.artifacts}
    names = [
        target.name
        for target in TARGETS.values()
        if systems and {system.name for system in target.systems} == systems
    ]
    return names[0] if names else None
