"""Holds the SBOM of hatch-wazcache against the wheel that it is in."""

from __future__ import annotations

import posixpath
import tempfile
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.formats.producers import read_producers
from hatch_wazcache.wheels.finding import Finding
from hatch_wazcache.wheels.metadata import info_folder, parse_name
from hatch_wazcache.wheels.sbom import (
    SbomFile,
    about_artifact,
    about_wasm,
    compilers_of,
    sbom_path,
)
from hatch_wazcache.wheels.untrusted_sbom import BrokenSbomError, read_sbom
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_wazcache.formats.producers import Producer
    from hatch_wazcache.wheels.manifest import Manifest, ManifestArtifact, ManifestAsset
    from hatch_wazcache.wheels.sbom import Sbom
    from hatch_wazcache.wheels.wheel_manifests import ManifestFile
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_sbom"]

_LONGEST = 1000
"""Characters of a finding: a stranger has written what it quotes."""


def check_sbom(wheel: WheelReader, files: Sequence[ManifestFile]) -> Iterator[Finding]:
    """Check that the SBOM lists what hatch-wazcache has put into the wheel, and nothing else.

    Args:
        wheel: any wheel. One without such an SBOM has no findings.
        files: all manifests in it.
    """
    try:
        member = sbom_path(info_folder(wheel))
    except BrokenWheelError:
        return  # another check reports it
    if member not in wheel:
        return
    try:
        sbom = read_sbom(wheel.text(member))
    except (BrokenWheelError, BrokenSbomError) as error:
        yield Finding(member, str(error))
        return
    try:
        expected = {file.path: file for file in _expected(wheel, files)}
    except BrokenWheelError:
        return  # the check of RECORD reports the member
    problems = [
        *_name_problems(wheel, sbom),
        *_file_problems(expected, {file.path: file for file in sbom.files}),
    ]
    if len(sbom.files) != len({file.path for file in sbom.files}):
        problems.append("lists a file twice")
    compilers = compilers_of(expected.values())
    if sbom.compilers != compilers:
        named, found = ", ".join(sbom.compilers) or "none", ", ".join(compilers) or "none"
        problems.append(f"names the compilers wasmtime {named}, but the manifests {found}")
    if not sbom.made_by:
        problems.append("does not name hatch-wazcache as a tool")
    yield from (Finding(member, problem[:_LONGEST]) for problem in problems)


def _name_problems(wheel: WheelReader, sbom: Sbom) -> Iterator[str]:
    try:
        name = parse_name(wheel.path)
    except BrokenWheelError:
        return  # another check reports it
    try:
        same = Version(sbom.version) == Version(name.version)
    except InvalidVersion:
        same = False
    if canonicalize_name(sbom.name) != name.project or not same:
        yield f"is about {sbom.name} {sbom.version}, not about {name.project} {name.version}"


def _file_problems(expected: dict[str, SbomFile], listed: dict[str, SbomFile]) -> Iterator[str]:
    for path, file in expected.items():
        if path not in listed:
            yield f"does not list {path}"
        else:
            yield from _differences(path, file, listed[path])
    for path in listed:
        if path not in expected:
            yield f"lists {path}, which is no .wasm, artifact or loader of this wheel"


def _differences(path: str, expected: SbomFile, listed: SbomFile) -> Iterator[str]:
    """Yield how the SBOM describes a file in another way than the wheel does."""
    if listed.sha256 != expected.sha256:
        yield f"{path}: has the SHA-256 {listed.sha256 or 'none'} there; it is {expected.sha256}"
    yield from _other_properties(path, expected, listed)
    if (listed.loader_of is None) != (expected.loader_of is None):
        yield f"{path}: is {'not ' if listed.loader_of is None else ''}a loader there"
    source, wanted = listed.source, expected.source
    if wanted is None:
        if source is not None:
            yield f"{path}: was compiled from {source.path} there"
    elif source is None or (source.path, source.sha256) != (wanted.path, wanted.sha256):
        there_from = "nothing" if source is None else f"{source.path}, {source.sha256}"
        yield (
            f"{path}: was compiled from {there_from} there; it was from {wanted.path}, "
            f"{wanted.sha256}"
        )
    elif wanted.about:  # the .wasm is in this wheel
        yield from _other_properties(f"{path}, its source", wanted, source)


def _other_properties(name: str, expected: SbomFile, listed: SbomFile) -> Iterator[str]:
    for key in dict.fromkeys(key for key, _value in (*expected.about, *listed.about)):
        there, here = (
            [value for name, value in file.about if name == key] for file in (listed, expected)
        )
        if there != here:
            yield f"{name}: {key} is {_shown(there)} there; it is {_shown(here)}"


def _shown(values: list[str]) -> str:
    return ", ".join(values) or "not named"


def _expected(wheel: WheelReader, files: Sequence[ManifestFile]) -> Iterator[SbomFile]:
    """Yield what hatch-wazcache has put into a wheel.

    Raises:
        BrokenWheelError: a member cannot be read.
    """
    producers: dict[str, tuple[Producer, ...]] = {}
    for file in files:
        if file.loader is not None:
            yield SbomFile(file.loader, wheel.digest(file.loader).hex(), loader_of="")
        manifest = file.manifest
        for asset in manifest.assets if manifest is not None else ():
            assert manifest is not None
            member = None if asset.wasm is None else manifest.member(asset.wasm)
            about: tuple[tuple[str, str], ...] = ()
            if member is not None and member in wheel:
                if member not in producers:
                    producers[member] = _producers(wheel, member)
                about = about_wasm(asset.kind, producers[member])
                yield SbomFile(member, asset.sha256, about)
            for artifact in asset.artifacts:
                yield _artifact(manifest, asset, artifact, about)


def _producers(wheel: WheelReader, member: str) -> tuple[Producer, ...]:
    with tempfile.TemporaryFile() as file:
        wheel.unpack(member, file)
        return read_producers(file, file.tell())


def _artifact(
    manifest: Manifest,
    asset: ManifestAsset,
    artifact: ManifestArtifact,
    about_source: tuple[tuple[str, str], ...],
) -> SbomFile:
    folder = manifest.path if manifest.package is None else manifest.package.path
    source = posixpath.join(posixpath.dirname(folder), asset.name)
    return SbomFile(
        path=manifest.member(artifact.file),
        sha256=artifact.sha256,
        about=about_artifact(artifact.target, artifact.cpu, artifact.profile, artifact.engine),
        source=SbomFile(source, asset.sha256, about_source),
    )
