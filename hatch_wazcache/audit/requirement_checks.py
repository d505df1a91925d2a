"""Checks whether the users of a wheel get a wasmtime that loads its artifacts.

METADATA says what they get. A build warns about it too, but most installers hide a build's lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_wazcache.audit.finding import Finding, Note
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.wheels.metadata import info_folder, read_metadata
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hatch_wazcache.formats.artifact import ArtifactHeader
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["Requirements", "check_requirements", "read_requirements"]

_PYTHONS = tuple(f"3.{minor}" for minor in range(9, 16))
"""The Pythons that the loader runs on, as far as they are known."""

_TOO_OLD = ("2.7", *(f"3.{minor}" for minor in range(9)))

_MOST_LINES = 10
"""The most requirements on wasmtime, and the most extras that have one."""

_LONGEST_LINE = 500


class Requirements(NamedTuple):
    """The lines of METADATA that decide which wasmtime users get, and on which Pythons."""

    wasmtime: tuple[Requirement, ...]
    others: tuple[str, ...]
    """The names of the other required projects."""
    extras: tuple[str, ...]
    python: str
    """Requires-Python; empty if METADATA does not have it."""

    def admits_python(self, version: str) -> bool:
        """Say whether some release of a Python version is admitted, such as `3.9`."""
        admitted = SpecifierSet(self.python)
        return any(admitted.contains(f"{version}.{patch}") for patch in (0, 99))

    def on(self, environment: Mapping[str, str]) -> list[list[Requirement]]:
        """Return the requirements on wasmtime that count in an environment.

        Returns:
            One list; or if only extras require wasmtime, a list for each such extra.
        """
        if always := self._active({**environment, "extra": ""}):
            return [always]
        lists = (self._active({**environment, "extra": extra}) for extra in self.extras)
        return [active for active in lists if active]

    def _active(self, environment: Mapping[str, str]) -> list[Requirement]:
        return [
            requirement
            for requirement in self.wasmtime
            if requirement.marker is None or requirement.marker.evaluate({**environment})
        ]


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
    return Requirements(wasmtime, others, tuple(extras), python)


def _name(line: str) -> str:
    """Return the name of the project that a line requires."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}", line)
    return canonicalize_name(match[0]) if match else ""


def check_requirements(
    wheel: WheelReader, loaders: Iterable[str], headers: Mapping[str, ArtifactHeader]
) -> Iterator[Finding | Note]:
    """Compare METADATA with what the loaders and the artifacts need.

    Args:
        wheel: has METADATA.
        loaders: the loaders in it.
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
    try:
        if any(True for _ in loaders):
            yield from _check_loader(member, requirements, majors)
        for system in SYSTEMS:
            if system in majors and requirements.wasmtime:
                yield from _check_system(member, requirements, system, majors[system])
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
    """Check whether a loader can run: it imports wasmtime, and needs Python 3.9."""
    if not requirements.wasmtime:
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
            yield Finding(member, f'{text}; add "{_pin(major)}" to the project\'s dependencies')
    old = [version for version in _TOO_OLD if requirements.admits_python(version)]
    if old:
        text = f"Requires-Python {requirements.python} admits Python {old[-1]}"
        text = text if requirements.python else "has no Requires-Python"
        set_it = 'set requires-python = ">=3.9" in the project'
        yield Note(member, f"{text}, but the loader needs Python 3.9; {set_it}")


def _check_system(
    member: str, requirements: Requirements, system: str, majors: set[int]
) -> Iterator[Finding | Note]:
    """Check whether the users on a system get a wasmtime that its artifacts load in."""
    pythons = [version for version in _PYTHONS if requirements.admits_python(version)]
    without: list[str] = []
    unfit: dict[tuple[str, int], list[str]] = {}
    wide: dict[str, None] = {}
    for python in pythons:
        lists = requirements.on(_environment(system, python))
        if not lists:
            without.append(python)
            continue
        text = " or ".join(_text(one) for one in lists)
        for major in majors:
            if not any(_admits(one, major) for one in lists):
                unfit.setdefault((text, major), []).append(python)
        if any(_admits_others(one, majors) for one in lists):
            wide[text] = None
    if without:
        where = _where(system, without, pythons)
        yield Finding(member, f"does not require wasmtime on {where}: no artifact loads there")
    for (text, major), versions in unfit.items():
        where = _where(system, versions, pythons)
        yield Finding(
            member,
            f"requires {text} on {where}, but artifacts for {system} are compiled by wasmtime "
            f"{major}: they never load there",
        )
    if wide and not unfit:
        known = ", ".join(map(str, sorted(majors)))
        yield Note(
            member,
            f"requires {' or '.join(wide)}, which admits other major versions than the artifacts' "
            f"({known}): users who have one of those wait for the compiler; "
            f'"{_pin(max(majors))}" keeps users and artifacts together',
        )


def _environment(system: str, python: str) -> dict[str, str]:
    """Return the values of the markers for a CPython on a system."""
    arch, os = SYSTEMS[system].arch, SYSTEMS[system].os
    sys_platform, platform_system, os_name, machines = {
        "linux": ("linux", "Linux", "posix", ("x86_64", "aarch64")),
        "macos": ("darwin", "Darwin", "posix", ("x86_64", "arm64")),
        "windows": ("win32", "Windows", "nt", ("AMD64", "ARM64")),
    }[os]
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": os_name,
        "platform_machine": machines[0 if arch == "x86_64" else 1],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": platform_system,
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": sys_platform,
    }


def _admits(requirements: Iterable[Requirement], major: int) -> bool:
    """Say whether some release of a major version of wasmtime satisfies all requirements."""
    specifiers = [specifier for one in requirements for specifier in one.specifier]
    versions = {f"{major}.0.0", f"{major}.0.1", f"{major}.999.999"}
    versions |= {specifier.version for specifier in specifiers}
    for version in versions:
        try:
            same = Version(version).major == major
        except InvalidVersion:  # 48.*
            continue
        if same and all(one.contains(version, prereleases=True) for one in specifiers):
            return True
    return False


def _admits_others(requirements: Sequence[Requirement], majors: set[int]) -> bool:
    """Say whether a version of another major satisfies all requirements.

    If there is one, it is next to a major of the artifacts, or next to one that a line names.
    """
    named = {
        int(number)
        for one in requirements
        for specifier in one.specifier
        if (number := specifier.version.partition(".")[0]).isdecimal() and len(number) < 9
    }
    near = {major + step for major in majors | named for step in (-1, 0, 1)}
    return any(_admits(requirements, major) for major in near - majors if major > 0)


def _text(requirements: Iterable[Requirement]) -> str:
    return " and ".join(dict.fromkeys(f"{one.name}{one.specifier}" for one in requirements))


def _pin(major: int | None) -> str:
    return "wasmtime" if major is None else f"wasmtime>={major},<{major + 1}"


def _where(system: str, pythons: Sequence[str], admitted: Sequence[str]) -> str:
    if len(pythons) == len(admitted):
        return system
    return f"{system} with Python {', '.join(pythons)}"
