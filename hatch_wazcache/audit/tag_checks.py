"""Checks a wheel's tags against the systems of its artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.wheels.finding import Finding
from hatch_wazcache.wheels.metadata import parse_name
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.wheels.manifest import Manifest, ManifestAsset
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_tags"]


def check_tags(
    wheel: WheelReader, manifests: Iterable[Manifest], headers: Mapping[str, ArtifactHeader]
) -> Iterator[Finding]:
    """Find artifacts without a tag, and tags without an artifact.

    Installers read the tags in the wheel's name. For each system that a tag is for, every asset
    must have an artifact; and for each artifact there must be a tag.
    """
    try:
        tags = parse_name(wheel.path).tags
    except BrokenWheelError:
        return  # `check_name` reports it
    platforms = sorted({tag.platform for tag in tags})
    tag_by_system = {system: tag for tag in reversed(platforms) for system in _systems(tag)}
    for manifest in manifests:
        majors = {artifact.major for artifact in manifest.artifacts}
        for asset in manifest.assets:
            member_by_system: dict[str, str] = {}
            for artifact in asset.artifacts:
                member = manifest.member(artifact.file)
                header = headers.get(member)
                member_by_system[header.target if header else artifact.target] = member
            for system, member in member_by_system.items():
                if system not in tag_by_system:
                    all_tags = ", ".join(platforms)
                    text = f"is for {system}, but the wheel's tags ({all_tags}) are not"
                    yield Finding(member, text)
            for system, tag in tag_by_system.items():
                if system not in member_by_system:
                    text = (
                        f"{asset.name} has no artifact for {system}, but the wheel's tag {tag} "
                        "is for it"
                    )
                    yield Finding(manifest.path, text)
                    continue
                for major in sorted(majors - _majors(asset, system)):
                    text = (
                        f"{asset.name} has no artifact of wasmtime {major} for {system}, but the "
                        "wheel has others of that version"
                    )
                    yield Finding(manifest.path, text)


def _majors(asset: ManifestAsset, system: str) -> set[int]:
    """Return the major versions of wasmtime that an asset has artifacts for."""
    return {one.major for one in asset.artifacts if one.target == system}


def _systems(platform_tag: str) -> list[str]:
    """Return the systems that a platform tag is for. Systems without wasmtime are left out."""
    return [
        system.name
        for target in TARGETS.values()
        if target.accepts(platform_tag)
        for system in target.systems
    ]
