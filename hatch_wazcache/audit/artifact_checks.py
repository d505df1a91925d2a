"""Checks assets and artifacts against the manifest that lists them.

An artifact's header describes its target. It names the flags of the code generator. The other
settings (fuel, epochs, memory, wasm features) have no names in it, so only compiling again checks
them. wasmtime checks most of them when it loads the artifact.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hatch_wazcache.engine.settings import CPU_LEVELS
from hatch_wazcache.formats.artifact import BrokenArtifactError, read_artifact
from hatch_wazcache.formats.sections import WASM_HEADERS
from hatch_wazcache.wheels.finding import Finding
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_wazcache.engine.settings import SettingValue
    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.wheels.manifest import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_artifact", "check_asset", "read_headers"]


def read_headers(
    wheel: WheelReader, manifests: Iterable[Manifest]
) -> tuple[dict[str, ArtifactHeader], dict[str, Finding]]:
    """Read the header of each artifact that a manifest lists and the wheel holds.

    Returns:
        The headers, and a finding for each file that is not an artifact, by their paths in the
        wheel. A file that cannot be unpacked is in neither: the check of its digest reports it.
    """
    headers: dict[str, ArtifactHeader] = {}
    unreadable: dict[str, Finding] = {}
    listed = {
        manifest.member(artifact.file) for manifest in manifests for artifact in manifest.artifacts
    }
    for member in listed:
        if member not in wheel:
            continue
        try:
            with wheel.open(member) as file:
                headers[member] = read_artifact(file, wheel.size_of(member))
        except BrokenArtifactError as error:
            unreadable[member] = Finding(member, f"is not an artifact: {error}")
        except BrokenWheelError:
            pass
    return headers, unreadable


def check_asset(wheel: WheelReader, manifest: Manifest, asset: ManifestAsset) -> Iterator[Finding]:
    """Compare the `.wasm` in the wheel with its digest and kind in the manifest."""
    if asset.wasm is None:
        return
    member = manifest.member(asset.wasm)
    if member not in wheel:
        yield Finding(member, "is missing: the manifest lists it")
        return
    yield from _check_digest(wheel, member, asset.sha256, asset.size)
    try:
        with wheel.open(member) as file:
            kind = WASM_HEADERS.get(file.read(8))
    except BrokenWheelError:
        return  # `_check_digest` reports it
    if kind != asset.kind:
        found = f"a WebAssembly {kind}" if kind else "not WebAssembly"
        yield Finding(member, f"is {found}; the manifest says {asset.kind}")


def check_artifact(
    wheel: WheelReader,
    manifest: Manifest,
    asset: ManifestAsset,
    artifact: ManifestArtifact,
    header: ArtifactHeader | None,
) -> Iterator[Finding]:
    """Compare an artifact's bytes and header with the manifest."""
    member = manifest.member(artifact.file)
    if member not in wheel:
        yield Finding(member, "is missing: the manifest lists it")
        return
    yield from _check_digest(wheel, member, artifact.sha256, artifact.size)
    if header is None:
        return
    settings = manifest.settings(artifact.profile)
    for found, listed in (
        *_compare_origin(header, asset, artifact),
        *_compare_cpu(header, artifact),
        *_compare_settings(header, settings, artifact.profile),
    ):
        yield Finding(member, f"{found}; the manifest says {listed}")


def _check_digest(wheel: WheelReader, member: str, sha256: str, size: int) -> Iterator[Finding]:
    try:
        found = wheel.digest(member).hex()
    except BrokenWheelError as error:
        yield Finding(member, str(error))
        return
    if found != sha256:
        yield Finding(member, f"has the SHA-256 {found}; the manifest says {sha256}")
    if wheel.size_of(member) != size:
        yield Finding(member, f"has {wheel.size_of(member)} bytes; the manifest says {size}")


def _compare_origin(
    header: ArtifactHeader, asset: ManifestAsset, artifact: ManifestArtifact
) -> Iterator[tuple[str, str]]:
    """Yield each wrong value of kind, system and engine, and the value in the manifest."""
    if header.kind != asset.kind:
        yield f"is compiled from a {header.kind}", f"a {asset.kind}"
    if header.target != artifact.target:
        yield f"holds code for {header.target} ({header.triple})", artifact.target
    if not header.made_by(artifact.engine):
        yield f"is compiled by wasmtime {header.version}", artifact.engine
    named = re.search(r"\.wasmtime(\d+)\.cwasm$", artifact.file)
    if named and named[1] != str(artifact.major):
        yield f"is named for wasmtime {named[1]}", artifact.engine


def _compare_cpu(header: ArtifactHeader, artifact: ManifestArtifact) -> Iterator[tuple[str, str]]:
    flags = header.cpu_flags
    if header.arch == "x86_64" and artifact.cpu != "native":
        level = frozenset(CPU_LEVELS.get(artifact.cpu, ()))
        if flags != level:
            yield _flags("uses", flags), _flags(f"cpu {artifact.cpu}, which uses", level)
    elif header.arch == "aarch64" and artifact.cpu == "baseline" and flags:
        yield _flags("uses", flags), _flags("cpu baseline, which uses", frozenset())


def _compare_settings(
    header: ArtifactHeader, settings: Mapping[str, SettingValue], profile: str
) -> Iterator[tuple[str, str]]:
    for name, found, listed in header.differing_settings(settings):
        yield (
            f"is compiled with {name} = {json.dumps(found)}",
            f"{json.dumps(listed)} (profile {profile})",
        )


def _flags(uses: str, flags: frozenset[str]) -> str:
    names = ", ".join(sorted(flag.removeprefix("has_") for flag in flags))
    return f"{uses} {names or 'no CPU features beyond the baseline'}"
