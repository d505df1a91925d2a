"""Checks whether the users of a wheel get a wasmtime that loads its artifacts.

METADATA decides that. A build also warns about it, but most front ends hide the output of a build.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from hatch_wazcache.engine.requirements import (
    PYTHONS,
    WasmtimeRequirements,
    admits_major,
    admits_other_majors,
    for_one_major,
    marker_environment,
    place_text,
    requirements_text,
)
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.resources import LOADER_PYTHON
from hatch_wazcache.wheels.finding import Finding, Note
from hatch_wazcache.wheels.metadata import info_folder, read_metadata
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.wheels.wheel_manifests import ManifestFile
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["Requirements", "check_requirements", "read_requirements"]

_TOO_OLD = tuple(f"3.{minor}" for minor in range(LOADER_PYTHON[1]))

_MOST_LINES = 10
"""The most requirements on wasmtime, and the most extras that have one."""

_LONGEST_LINE = 500


class Requirements(NamedTuple):
    """The lines of METADATA that decide which wasmtime users get, and on which Pythons."""

    wasmtime: WasmtimeRequirements
    others: tuple[str, ...]
    """The names of the other required projects."""


def read_requirements(wheel: WheelReader) -> Requirements:
    """Read METADATA.

    Raises:
        BrokenWheelError: it cannot be read, or a line of it is not valid.
    """
    fields = read_metadata(wheel)
    names = [(_name(line), line) for line in fields.get("requires-dist", [])]
    lines = [line for name, line in names if name == "wasmtime"]
    python = fields.get("requires-python", [""])[0]
    extras = [
        extra
        for extra in dict.fromkeys(fields.get("provides-extra", []))
        if any(extra in line for line in lines)
    ]
    if max(len(lines), len(extras)) > _MOST_LINES:
        raise BrokenWheelError(f"has more than {_MOST_LINES} requirements on wasmtime, or extras")
    for line in (*lines, python, *extras):
        if len(line) > _LONGEST_LINE:
            raise BrokenWheelError(f"has a line that is too long: {line[:100]}…")
    try:
        wasmtime = tuple(map(Requirement, lines))
        SpecifierSet(python)
    except (InvalidRequirement, InvalidSpecifier, RecursionError) as error:
        raise BrokenWheelError(f"has a line that is not valid ({error})") from error
    others = tuple(dict.fromkeys(name for name, _ in names if name != "wasmtime"))
    return Requirements(WasmtimeRequirements(wasmtime, tuple(extras), python), others)


def _name(line: str) -> str:
    """Return the name of the project that a line requires."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", line)
    return canonicalize_name(match[0]) if match else ""


def check_requirements(
    wheel: WheelReader, files: Sequence[ManifestFile], headers: Mapping[str, ArtifactHeader]
) -> Iterator[Finding | Note]:
    """Compare METADATA with what the loaders and the artifacts need.

    Args:
        wheel: has METADATA.
        files: the manifests in it.
        headers: of its artifacts.
    """
    try:
        member = f"{info_folder(wheel)}/METADATA"
    except BrokenWheelError:
        return  # `check_name` reports it
    try:
        requirements = read_requirements(wheel)
    except BrokenWheelError as error:
        yield Finding(member, str(error))
        return
    majors = _majors(headers)
    has_companion = any(file.manifest and file.manifest.companion for file in files)
    try:
        if any(file.loader for file in files):
            yield from _check_loader(member, requirements, majors)
        yield from _check_runtime(member, requirements, files)
        yield from _check_distribution(wheel, files)
        for system in SYSTEMS:
            if system in majors and requirements.wasmtime.lines:
                for result in _check_system(member, requirements, system, majors[system]):
                    if isinstance(result, Finding) or not has_companion:
                        yield result
    except ValueError as error:  # a marker that compares what cannot be compared
        yield Finding(member, f"has a requirement that cannot be evaluated ({error})")


def _majors(headers: Mapping[str, ArtifactHeader]) -> dict[str, set[int]]:
    """Return the major versions of the engines that compiled the artifacts for each system."""
    majors: dict[str, set[int]] = {}
    for header in headers.values():
        major = header.version.partition(".")[0]
        if major.isdecimal() and len(major) < 9:
            majors.setdefault(header.target, set()).add(int(major))
    return majors


def _check_loader(
    member: str, requirements: Requirements, majors: Mapping[str, set[int]]
) -> Iterator[Finding | Note]:
    """Check whether a loader can run: it imports wasmtime, and needs Python 3.9 or newer."""
    if not requirements.wasmtime.lines:
        major = max((max(numbers) for numbers in majors.values()), default=None)
        if requirements.others:
            names = ", ".join(requirements.others[:5])
            yield Note(
                member,
                "does not require wasmtime: the installed package can import it only if another "
                f'requirement brings it ({names}); if none does, add "wasmtime" to the project\'s '
                "dependencies",
            )
        else:
            text = "does not require wasmtime, so the installed package cannot import it"
            yield Finding(
                member,
                f'{text}; add "{for_one_major(major)}" to the project\'s dependencies',
            )
    yield from _check_python(member, requirements.wasmtime)


def _check_runtime(
    member: str, requirements: Requirements, files: Sequence[ManifestFile]
) -> Iterator[Finding]:
    """Check that users get the runtime whose loader loads the assets."""
    runtimes = [file.manifest.runtime for file in files if file.manifest and file.manifest.runtime]
    for runtime in dict.fromkeys(runtimes):
        if _name(runtime) not in requirements.others:
            yield Finding(
                member,
                f"does not require {runtime}, whose loader loads the artifacts; add it to the "
                "project's dependencies",
            )


def _check_distribution(wheel: WheelReader, files: Sequence[ManifestFile]) -> Iterator[Finding]:
    """Check that the loader of another package finds the distribution that a manifest names."""
    name = read_metadata(wheel).get("name", [""])[0]
    for file in files:
        named = file.manifest.distribution if file.manifest else None
        if named and name and canonicalize_name(named) != canonicalize_name(name):
            yield Finding(
                file.path,
                f"belongs to {named}, and the wheel to {name}: the loader of another package would "
                "not use its artifacts",
            )


def _check_python(member: str, requirements: WasmtimeRequirements) -> Iterator[Note]:
    """Note that the package can be installed where its loader does not run.

    A wheel without Requires-Python promises nothing, and wasmtime itself needs Python 3.9.
    """
    python, needed = requirements.python, ".".join(map(str, LOADER_PYTHON))
    old = [version for version in _TOO_OLD if requirements.admits_python(version)]
    if python and old:
        yield Note(
            member,
            f"Requires-Python {python} admits Python {old[-1]}, but the loader needs Python "
            f'{needed}; set requires-python = ">={needed}" in the project',
        )


def _check_system(
    member: str, requirements: Requirements, system: str, majors: set[int]
) -> Iterator[Finding | Note]:
    """Check whether the users on a system get a wasmtime that its artifacts load in."""
    pythons = [version for version in PYTHONS if requirements.wasmtime.admits_python(version)]
    without: list[str] = []
    texts: dict[str, str] = {}
    admitted: dict[str, set[int]] = {}
    wide: dict[str, None] = {}
    for python in pythons:
        lists = requirements.wasmtime.on(marker_environment(SYSTEMS[system], python))
        if not lists:
            without.append(python)
            continue
        texts[python] = " or ".join(requirements_text(one) for one in lists)
        admitted[python] = {m for m in majors if any(admits_major(one, m) for one in lists)}
        if any(admits_other_majors(one, majors) for one in lists):
            wide[texts[python]] = None
    useful = set().union(*admitted.values())
    unfit: dict[tuple[str, int], list[str]] = {}
    for python, text in texts.items():
        for major in sorted(majors if not admitted[python] else majors - useful):
            unfit.setdefault((text, major), []).append(python)
    if without:
        where = place_text(system, without, pythons)
        yield Finding(member, f"does not require wasmtime on {where}: no artifact loads there")
    for (text, major), versions in unfit.items():
        where = place_text(system, versions, pythons)
        yield Finding(
            member,
            f"requires {text} on {where}, but artifacts for {system} are compiled by wasmtime "
            f"{major}: they never load there",
        )
    if wide and not unfit:
        first, last = min(majors), max(majors)
        known = ", ".join(map(str, sorted(majors)))
        has_gaps = last - first >= len(majors)
        yield Note(
            member,
            f"requires {' or '.join(wide)}, which admits other major versions than the artifacts' "
            f"({known}): users with another one wait for the compiler at their first start; build "
            "for more of them (options engines, companion)"
            + ("" if has_gaps else f', or require "wasmtime>={first},<{last + 1}" instead'),
        )
