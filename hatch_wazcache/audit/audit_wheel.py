"""Audits one wheel: runs all checks, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

from hatch_wazcache.audit.artifact_checks import check_artifact, check_asset, read_headers
from hatch_wazcache.audit.companion_checks import (
    check_companion,
    check_named_companion,
    is_version_0,
)
from hatch_wazcache.audit.requirement_checks import check_requirements, read_requirements
from hatch_wazcache.audit.sbom_checks import check_sbom
from hatch_wazcache.audit.tag_checks import check_tags
from hatch_wazcache.wheels.archive_checks import check_headers, check_names, check_size
from hatch_wazcache.wheels.finding import Finding, Note
from hatch_wazcache.wheels.metadata import parse_name, read_generator
from hatch_wazcache.wheels.metadata_checks import check_name, check_record
from hatch_wazcache.wheels.wheel_manifests import read_manifests
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hatch_wazcache.audit.requirement_checks import Requirements
    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.wheels.manifest import Manifest
    from hatch_wazcache.wheels.metadata import WheelName
    from hatch_wazcache.wheels.wheel_manifests import ManifestFile
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["AuditResult", "audit_wheel"]

_Source = TypeVar("_Source")
_Part = TypeVar("_Part")

_MOST_FINDINGS = 1000
"""The most findings of one wheel, so that an audit of a hostile wheel ends soon."""


@dataclass(frozen=True)
class AuditResult:
    """The findings of an audit, and what it read from the wheel."""

    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    manifests: tuple[Manifest, ...]
    """The manifests, without the parts that are wrong."""
    headers: Mapping[str, ArtifactHeader]
    """The headers of the artifacts that could be read, by their paths in the wheel."""
    name: WheelName | None
    """The parts of the wheel's name, if they can be read."""
    requirements: Requirements | None
    """The requirements in METADATA, if they can be read."""


def audit_wheel(wheel: WheelReader) -> AuditResult:
    """Check a wheel against its own name, WHEEL, RECORD, METADATA and manifests."""
    files = read_manifests(wheel)
    manifests = [file.manifest for file in files if file.manifest is not None]
    headers, unreadable = read_headers(wheel, manifests)
    checks: Iterator[Finding | Note] = chain(
        check_names(wheel),
        check_headers(wheel),
        check_name(wheel),
        check_record(wheel),
        _check_manifests(wheel, files),
        _check_files(wheel, manifests, headers, unreadable),
        check_tags(wheel, manifests, headers),
        check_companion(wheel, manifests),
        check_named_companion(wheel, manifests),
        check_sbom(wheel, files),
        _check_unlisted(wheel, manifests),
        check_requirements(wheel, files, headers) if files else (),
        check_size(wheel),
    )
    # A broken member fails several checks in the same words.
    results = list(dict.fromkeys(islice(checks, _MOST_FINDINGS)))
    if next(checks, None) is not None:
        results.append(Finding(None, "has more findings than these"))
    return AuditResult(
        findings=tuple(result for result in results if isinstance(result, Finding)),
        notes=tuple(result for result in results if isinstance(result, Note)),
        manifests=tuple(manifests),
        headers=headers,
        name=_or_none(parse_name, wheel.path),
        requirements=_or_none(read_requirements, wheel),
    )


def _or_none(read: Callable[[_Source], _Part], source: _Source) -> _Part | None:
    """Read a part of a wheel. If it is broken, a check has reported that."""
    try:
        return read(source)
    except BrokenWheelError:
        return None


def _check_manifests(wheel: WheelReader, files: Sequence[ManifestFile]) -> Iterator[Finding]:
    for file in files:
        for problem in file.problems:
            yield Finding(file.path, problem)
    if not files and not is_version_0(wheel):
        yield Finding(None, f"has no manifest of hatch-wazcache: {_why_none(wheel)}")


def _why_none(wheel: WheelReader) -> str:
    """Say why a wheel is likely to have no manifest, and what to do."""
    try:
        backend = read_generator(wheel).partition(" ")[0].lower()
    except BrokenWheelError:
        backend = ""
    likely = {
        "hatchling": "hatchling runs the hook only if pyproject.toml has the table "
        "[tool.hatch.build.hooks.wazcache]; [tool.wazcache] alone is not enough",
        "setuptools": "setuptools needs the table [tool.wazcache], and "
        '"hatch-wazcache[setuptools]" in build-system.requires',
    }.get(backend, "it was built without hatch-wazcache")
    return f"{likely}; or the build was interrupted"


def _check_files(
    wheel: WheelReader,
    manifests: Sequence[Manifest],
    headers: Mapping[str, ArtifactHeader],
    unreadable: Mapping[str, Finding],
) -> Iterator[Finding]:
    for manifest in manifests:
        for asset in manifest.assets:
            yield from check_asset(wheel, manifest, asset)
            for artifact in asset.artifacts:
                member = manifest.member(artifact.file)
                yield from check_artifact(wheel, manifest, asset, artifact, headers.get(member))
                if member in unreadable:
                    yield unreadable[member]


def _check_unlisted(wheel: WheelReader, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    listed = {
        manifest.member(artifact.file) for manifest in manifests for artifact in manifest.artifacts
    }
    for name in wheel.names:
        if name.endswith(".cwasm") and name not in listed:
            yield Finding(name, "is an artifact that no manifest lists: nothing loads it")
