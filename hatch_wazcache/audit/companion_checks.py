"""Checks what binds a package and its companion: names, versions, requirements and places.

Each wheel is checked alone here. `companion_comparison` holds them against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.installed import ANY_PATCH_FROM
from hatch_wazcache.engine.requirements import for_one_major, one_major
from hatch_wazcache.project.companion import companion_problems
from hatch_wazcache.project.engine_requirement import METADATA
from hatch_wazcache.resources import companion_folder
from hatch_wazcache.wheels.companion_files import companion_version, version_problem
from hatch_wazcache.wheels.finding import Finding
from hatch_wazcache.wheels.metadata import info_folder, parse_name, read_metadata
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_wazcache.wheels.manifest import Manifest, PackageInfo
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["check_companion", "check_named_companion", "is_version_0"]

_MOST_LINES = 1000
_LONGEST_LINE = 500


def is_version_0(wheel: WheelReader) -> bool:
    """Say whether a wheel is a companion of version 0: it has that version, and holds no files."""
    try:
        version = parse_name(wheel.path).version
        folder = info_folder(wheel)
    except BrokenWheelError:
        return False
    return Version(version) == Version("0") and all(
        name.startswith(f"{folder}/") for name in wheel.names
    )


def check_companion(wheel: WheelReader, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """Check a companion: it must be found by installers, and by the loader of its package.

    Args:
        wheel: any wheel. One that is not a companion has no findings.
        manifests: all manifests in it.
    """
    if is_version_0(wheel):
        yield from _check_version_0(wheel)
    packages = [manifest.package for manifest in manifests if manifest.package is not None]
    if not packages:
        return
    package = packages[0]
    yield from _check_manifests(manifests, package)
    try:
        name = parse_name(wheel.path)
        member, fields = _metadata(wheel)
    except BrokenWheelError:
        return  # other checks report it
    majors = {artifact.major for manifest in manifests for artifact in manifest.artifacts}
    yield from _check_places(wheel, fields, manifests)
    if len(majors) != 1:
        known = ", ".join(map(str, sorted(majors))) or "none"
        text = f"is a companion, but not for one major version of wasmtime: it has {known}"
        yield Finding(None, text)
        return
    (major,) = majors
    try:
        expected = Version(companion_version(major, package.version))
    except InvalidVersion:
        text = f"belongs to {package.name} {package.version}, which is not a version"
        yield Finding(None, text)
        return
    if Version(name.version) != expected:
        yield Finding(
            None,
            f"has the version {name.version}; the companion of {package.name} {package.version} "
            f"for wasmtime {major} has the version {expected}",
        )
    yield from _check_requirements(member, fields, package, major)


def check_named_companion(wheel: WheelReader, manifests: Sequence[Manifest]) -> Iterator[Finding]:
    """Check that installers find the companion that the manifests of a package name."""
    named = dict.fromkeys(
        manifest.companion.name for manifest in manifests if manifest.companion is not None
    )
    if not named:
        return
    try:
        name = parse_name(wheel.path)
        member, fields = _metadata(wheel)
    except BrokenWheelError:
        return  # other checks report it
    if len(named) > 1 or any(manifest.companion is None for manifest in manifests):
        yield Finding(None, "its manifests name different companions, or none")
    lines = fields.get("requires-dist", [])[:_MOST_LINES]
    lines = [line for line in lines if len(line) <= _LONGEST_LINE]
    for companion in named:
        for problem in companion_problems(companion, name.project, lines, METADATA.add_to):
            yield Finding(member, f"the companion {companion}: {problem}")
    unfit = version_problem(name.version)
    if unfit is not None:
        yield Finding(None, unfit)


def _metadata(wheel: WheelReader) -> tuple[str, Mapping[str, list[str]]]:
    return f"{info_folder(wheel)}/METADATA", read_metadata(wheel)


def _check_version_0(wheel: WheelReader) -> Iterator[Finding]:
    try:
        member, fields = _metadata(wheel)
    except BrokenWheelError:
        return  # other checks report it
    for field in ("requires-dist", "requires-python"):
        for value in fields.get(field, [])[:_MOST_LINES]:
            text = f"requires {value[:_LONGEST_LINE]}; version 0 must be installable everywhere"
            yield Finding(member, text)
    if "py3-none-any" not in map(str, parse_name(wheel.path).tags):
        yield Finding(None, "must have the tag py3-none-any: version 0 is for every platform")


def _check_manifests(manifests: Sequence[Manifest], package: PackageInfo) -> Iterator[Finding]:
    """Check that the manifests of a companion belong to one package, and list artifacts only."""
    for manifest in manifests:
        about = manifest.package
        if about is None:
            text = "has no field package, which the other manifests of this companion have"
            yield Finding(manifest.path, text)
        elif (about.name, about.version) != (package.name, package.version):
            other = f"{package.name} {package.version}"
            text = f"belongs to {about.name} {about.version}, but another manifest to {other}"
            yield Finding(manifest.path, text)
        for asset in manifest.assets:
            if asset.wasm is not None:
                text = f"{asset.name} has a .wasm; a companion holds artifacts only"
                yield Finding(manifest.path, text)


def _check_places(
    wheel: WheelReader, fields: Mapping[str, list[str]], manifests: Sequence[Manifest]
) -> Iterator[Finding]:
    """Check that the loader finds the manifests: in a folder that has the companion's name."""
    folder = companion_folder(next(iter(fields.get("name", [])), ""))
    for manifest in manifests:
        if manifest.package is None:
            continue
        place = f"{folder}/{manifest.package.path}"
        if manifest.path != place:
            text = f"must be {place}, where the loader of {manifest.package.name} looks for it"
            yield Finding(manifest.path, text)
    if f"{folder}/__init__.py" not in wheel:
        text = "is missing: without it the loader finds the companion only beside its package"
        yield Finding(f"{folder}/__init__.py", text)


def _check_requirements(
    member: str, fields: Mapping[str, list[str]], package: PackageInfo, major: int
) -> Iterator[Finding]:
    """Check that installers take a companion only where it fits."""
    found = set()
    for line in fields.get("requires-dist", [])[:_MOST_LINES]:
        try:
            requirement = Requirement(line[:_LONGEST_LINE])
        except (InvalidRequirement, RecursionError):
            continue
        if requirement.marker is None and not requirement.url:
            found.add((canonicalize_name(requirement.name), str(requirement.specifier)))
    wasmtime = for_one_major(major)
    if major < ANY_PATCH_FROM:
        # Which wheel of wasmtime-py had the engine that the manifest names is not known here.
        exact = (
            f"wasmtime{text}" for name, text in found if name == "wasmtime" and "*" not in text
        )
        fits = (line for line in exact if "==" in line and one_major(Requirement(line)) == major)
        wasmtime = next(fits, f"wasmtime=={major}.0.0")
    for line in (f"{package.name}=={package.version}", wasmtime):
        wanted = Requirement(line)
        if (canonicalize_name(wanted.name), str(wanted.specifier)) not in found:
            text = f"does not require {line}: installers also take it where nothing uses it"
            yield Finding(member, text)
