"""Holds packages and their companions against each other, where an audit is given both."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.project.config import fitting_cpus
from hatch_wazcache.wheels.finding import Finding, Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_wazcache.audit.audit_wheel import AuditResult
    from hatch_wazcache.wheels.manifest import (
        CompanionInfo,
        Manifest,
        ManifestAsset,
        PackageInfo,
    )

    Audits = Sequence[tuple[str, AuditResult]]

__all__ = ["compare_companions"]

_MOST_FINDINGS = 1000
_FARTHEST = 100
"""The most versions of wasmtime between two companions for which missing ones are listed."""


@dataclass(frozen=True)
class _Companion:
    """A companion wheel."""

    wheel: str
    manifests: dict[str, Manifest]
    """Its manifests, by the paths of those of its package."""
    majors: frozenset[int]
    systems: frozenset[str]


def compare_companions(audits: Audits) -> list[tuple[str, Finding | Note]]:
    """Compare each companion with its package, and the companions of a package with each other.

    Args:
        audits: the wheels' paths, and the results of their audits.

    Returns:
        The findings and notes, each with the path of its wheel.
    """
    return list(islice(_compare_all(audits), _MOST_FINDINGS))


def _compare_all(audits: Audits) -> Iterator[tuple[str, Finding | Note]]:
    packages = _packages(audits)
    found: dict[str, list[_Companion]] = {}
    for wheel, audit in audits:
        about = _package(audit)
        versions = packages.get(canonicalize_name(about.name), {}) if about else {}
        if about is None or not versions:
            continue
        package = versions.get(_version(about.version))
        if package is None:
            known = ", ".join(map(str, versions))
            text = f"belongs to {about.name} {about.version}; the given wheels of it have {known}"
            yield wheel, Note(None, text)
            continue
        companion = _companion(wheel, audit.manifests)
        found.setdefault(package[0], []).append(companion)
        for result in _compare(companion, *package):
            yield wheel, result
    for versions in packages.values():
        for wheel, audit in versions.values():
            for note in _gaps(found.get(wheel, []), audit):
                yield wheel, note


def _packages(audits: Audits) -> dict[str, dict[str, tuple[str, AuditResult]]]:
    """Return the first wheel of each package and version that is not a companion."""
    packages: dict[str, dict[str, tuple[str, AuditResult]]] = {}
    for wheel, audit in audits:
        if audit.name and audit.manifests and _package(audit) is None:
            versions = packages.setdefault(audit.name.project, {})
            versions.setdefault(_version(audit.name.version), (wheel, audit))
    return packages


def _package(audit: AuditResult) -> PackageInfo | None:
    """Return the package that a companion belongs to; None for other wheels."""
    return next((one.package for one in audit.manifests if one.package is not None), None)


def _version(text: str) -> str:
    """Return a version in its normal form."""
    try:
        return str(Version(text))
    except InvalidVersion:
        return text


def _companion(wheel: str, manifests: Iterable[Manifest]) -> _Companion:
    by_path = {one.package.path: one for one in manifests if one.package is not None}
    artifacts = [artifact for manifest in by_path.values() for artifact in manifest.artifacts]
    return _Companion(
        wheel,
        by_path,
        frozenset(artifact.major for artifact in artifacts),
        frozenset(artifact.target for artifact in artifacts),
    )


def _compare(companion: _Companion, wheel: str, package: AuditResult) -> Iterator[Finding]:
    """Find the reasons why the loader of a package does not use a companion, or lacks a part."""
    name = Path(wheel).name
    theirs = {manifest.path: manifest for manifest in package.manifests}
    for path in sorted(theirs.keys() - companion.manifests.keys()):
        yield Finding(None, f"has no manifest for {path} of {name}")
    for path, mine in companion.manifests.items():
        if path not in theirs:
            yield Finding(mine.path, f"is for {path}, which {name} does not have")
            continue
        for text in _compare_manifests(mine, theirs[path], name):
            yield Finding(mine.path, text)
    for major in sorted(companion.majors):
        if not _admits(package, major, companion.systems):
            text = f"is for wasmtime {major}, which the requirements of {name} exclude"
            yield Finding(None, text)


def _compare_manifests(mine: Manifest, theirs: Manifest, package: str) -> Iterator[str]:
    if theirs.companion is None:
        yield f"the manifest of {package} names no companion: its loader does not look for one"
        return
    folder = mine.path.partition("/")[0]
    if theirs.companion.folder != folder:
        named = theirs.companion.name
        yield f"the manifest of {package} names the companion {named}, not the one in {folder}"
    for profile in sorted(theirs.profiles.keys() & mine.profiles.keys()):
        if theirs.profiles[profile] != mine.profiles[profile]:
            yield f"has other settings for the profile {profile} than {package}: nothing loads"
        elif theirs.settings(profile) != mine.settings(profile):
            yield f"is compiled with other settings for the profile {profile} than {package} says"
    if theirs.strip != mine.strip:
        yield f"has another list of sections that were left out (strip) than {package}"
    yield from _compare_assets(mine, theirs, theirs.companion, package)


def _compare_assets(
    mine: Manifest, theirs: Manifest, companion: CompanionInfo, package: str
) -> Iterator[str]:
    assets = {asset.name: asset for asset in mine.assets}
    for asset in theirs.assets:
        other = assets.pop(asset.name, None)
        if other is None:
            yield f"has no artifacts of {asset.name}, which {package} has"
        elif (asset.sha256, asset.kind) != (other.sha256, other.kind):
            yield f"{asset.name} is another file in {package}: its loader does not use this one"
        else:
            profiles = asset.profiles or tuple(theirs.profiles)
            yield from _missing(other, profiles, companion)
    for name in assets:
        yield f"has artifacts of {name}, which {package} does not have"


def _missing(
    asset: ManifestAsset, profiles: Iterable[str], companion: CompanionInfo
) -> Iterator[str]:
    """Find the artifacts that a companion lacks for its own systems."""
    found = {(one.target, one.profile, one.cpu) for one in asset.artifacts}
    for target in sorted({one.target for one in asset.artifacts}):
        for profile in profiles:
            for cpu in fitting_cpus(companion.cpu, SYSTEMS[target]):
                if (target, profile, cpu) not in found:
                    yield f"{asset.name} has no artifact for {target}, profile {profile}, cpu {cpu}"


def _admits(package: AuditResult, major: int, systems: Iterable[str]) -> bool:
    """Say whether a package's requirements admit a major version of wasmtime on some system."""
    if package.requirements is None:
        return True
    try:
        return package.requirements.wasmtime.admits(major, [SYSTEMS[name] for name in systems])
    except ValueError:  # the audit of the package reports it
        return True


def _gaps(companions: Sequence[_Companion], package: AuditResult) -> Iterator[Note]:
    """Note the systems and versions of wasmtime that the companions of a package leave out."""
    systems: dict[int, set[str]] = {}
    for companion in companions:
        for major in companion.majors:
            systems.setdefault(major, set()).update(companion.systems)
    everywhere = set().union(*systems.values())
    for major, known in sorted(systems.items()):
        if missing := ", ".join(sorted(everywhere - known)):
            text = f"has no companion for wasmtime {major} on {missing}, but for other versions"
            yield Note(None, f"{text}: users there compile the .wasm")
    first, last = min(systems, default=0), max(systems, default=0)
    between = range(first + 1, last) if last - first < _FARTHEST else ()
    without = [n for n in between if n not in systems and _admits(package, n, everywhere)]
    if without:
        text = f"has no companion for wasmtime {', '.join(map(str, without))}, which it admits"
        yield Note(None, f"{text}: users of {_those(without)} compile the .wasm")


def _those(versions: Sequence[int]) -> str:
    return "that version" if len(versions) == 1 else "those versions"
