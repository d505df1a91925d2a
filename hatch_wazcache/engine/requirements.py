"""Requirements on wasmtime: which of them count for the users of a system, and what they admit."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from hatch_wazcache.engine.installed import ANY_PATCH_FROM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.targets import System

__all__ = [
    "PYTHONS",
    "WasmtimeRequirements",
    "admits_major",
    "admits_other_majors",
    "for_artifacts_of",
    "for_one_major",
    "marker_environment",
    "one_major",
    "place_text",
    "requirements_text",
]

PYTHONS = tuple(f"3.{minor}" for minor in range(9, 16))
"""The known versions of Python that the loader runs on."""


class WasmtimeRequirements(NamedTuple):
    """All requirements of a project on wasmtime, and the Pythons that it admits."""

    lines: tuple[Requirement, ...]
    extras: tuple[str, ...] = ()
    python: str = ""
    """The project's requires-python; empty if it has none."""

    def admits_python(self, version: str) -> bool:
        """Say whether some release of a Python version is admitted, such as `3.9`."""
        admitted = SpecifierSet(self.python)
        return any(admitted.contains(f"{version}.{patch}") for patch in (0, 99))

    def admits(self, major: int, systems: Iterable[System]) -> bool:
        """Say whether users of some of these systems can have a major version of wasmtime.

        Raises:
            ValueError: a marker compares what cannot be compared.
        """
        return not self.lines or any(
            admits_major(lines, major)
            for system in systems
            for python in PYTHONS
            for lines in self.on(marker_environment(system, python))
        )

    def on(self, environment: Mapping[str, str]) -> list[list[Requirement]]:
        """Return the requirements that count in an environment.

        Returns:
            One list; or if only extras require wasmtime, a list for each such extra.
        """
        if always := self._active({**environment, "extra": ""}):
            return [always]
        lists = (self._active({**environment, "extra": extra}) for extra in self.extras)
        return [active for active in lists if active]

    def _active(self, environment: Mapping[str, str]) -> list[Requirement]:
        return [
            line
            for line in self.lines
            if line.marker is None or line.marker.evaluate({**environment})
        ]


def marker_environment(system: System, python: str) -> dict[str, str]:
    """Return the values that markers have in a CPython on a system.

    Args:
        system: the system.
        python: its version, such as `3.9`.
    """
    sys_platform, platform_system, os_name, machines = {
        "linux": ("linux", "Linux", "posix", ("x86_64", "aarch64")),
        "macos": ("darwin", "Darwin", "posix", ("x86_64", "arm64")),
        "windows": ("win32", "Windows", "nt", ("AMD64", "ARM64")),
    }[system.os]
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": os_name,
        "platform_machine": machines[0 if system.arch == "x86_64" else 1],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": platform_system,
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": sys_platform,
    }


def admits_major(requirements: Iterable[Requirement], major: int) -> bool:
    """Say whether some release of a major version of wasmtime satisfies all requirements."""
    return _admits_major(tuple(str(one.specifier) for one in requirements), major)


@cache  # a build asks the same for each of its wheels
def _admits_major(texts: tuple[str, ...], major: int) -> bool:
    specifiers = [specifier for text in texts for specifier in SpecifierSet(text)]
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


def admits_other_majors(requirements: Sequence[Requirement], majors: set[int]) -> bool:
    """Say whether a version with another major satisfies all requirements.

    If there is one, it is next to one of these majors, or next to one that a line names.
    """
    near = _near(requirements, majors)
    return any(admits_major(requirements, major) for major in near - majors if major > 0)


def _near(requirements: Sequence[Requirement], majors: set[int]) -> set[int]:
    """Return majors, those that lines name, and the numbers next to each."""
    named = {
        int(number)
        for one in requirements
        for specifier in one.specifier
        if (number := specifier.version.partition(".")[0]).isdecimal() and len(number) < 9
    }
    return {major + step for major in majors | named for step in (-1, 0, 1)}


def one_major(requirement: Requirement) -> int | None:
    """Return the major version that a requirement admits; None if it admits several, or none."""
    lines = [requirement]
    admitted = [major for major in _near(lines, set()) if admits_major(lines, major)]
    if len(admitted) != 1 or admits_other_majors(lines, set(admitted)):
        return None
    return admitted[0]


def for_one_major(major: int | None) -> str:
    """Return the requirement that admits one major version of wasmtime; None for any."""
    return "wasmtime" if major is None else f"wasmtime>={major},<{major + 1}"


def for_artifacts_of(version: str) -> str:
    """Return the requirement on the wasmtimes that load what one of them has compiled.

    Args:
        version: that of the wheel of wasmtime-py.
    """
    major = Version(version).major
    if major < ANY_PATCH_FROM:
        return f"wasmtime=={version}"
    return for_one_major(major)


def requirements_text(requirements: Iterable[Requirement]) -> str:
    """Return requirements without markers, for a message."""
    return " and ".join(dict.fromkeys(f"{one.name}{one.specifier}" for one in requirements))


def place_text(system: str, pythons: Sequence[str], admitted: Sequence[str]) -> str:
    """Name a system; and the Pythons of a message, unless these are all admitted Pythons."""
    if len(pythons) == len(admitted):
        return system
    return f"{system} with Python {', '.join(pythons)}"
