"""Checks that the users of a wheel have the wasmtime that its artifacts are compiled for.

This is for a wheel with artifacts for one engine. `engines_check.py` is for the option `engines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WasmtimeError, WazcacheError
from hatch_wazcache.project.engine_requirement import admitted_pythons, this_python
from hatch_wazcache.project.installed_requirements import admit, required_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.project.engine_requirement import EngineRequirement

__all__ = ["check_engine", "contradiction", "unserved", "who_waits"]

"""A warning: extras name wasmtime, and do not agree."""


def check_engine(
    requirement: EngineRequirement,
    installed: str,
    target: Target,
    python: str = "",
    *,
    fallback: str = "cache",
    companion: bool = False,
) -> list[str]:
    """Compare the installed version with the requirement, as it counts for a target's users.

    Args:
        requirement: what the project says of wasmtime.
        installed: the version of the wasmtime wheel.
        target: the target of the wheel.
        python: the project's requires-python.
        fallback: the option `fallback`.
        companion: whether a companion serves the users of other versions.

    Returns:
        Warnings about users who may have another version.

    Raises:
        WazcacheError: no user of the target has the installed version.
    """
    check = _Check(requirement, installed, fallback, companion=companion)
    if not requirement.lines:
        return check.dependencies()
    pythons = admitted_pythons(python)
    return list(
        dict.fromkeys(
            warning for system in target.systems for warning in check.system(system, pythons)
        )
    )


def contradiction(requirement: EngineRequirement, installed: str, target: Target) -> str | None:
    """Say that the wheel will require another wasmtime than WAZCACHE_ENGINE has chosen.

    Args:
        requirement: what the project says of wasmtime.
        installed: the version of the wasmtime wheel.
        target: the target of the wheel.
    """
    from hatch_wazcache.engine.requirements import requirements_text

    project = requirement._replace(lines=requirement.replaced)
    for system in target.systems:
        lines = project.active(system, this_python())
        if lines and not admit(lines, installed):
            return (
                f"the wheel requires {requirements_text(lines)}, but {requirement.where} chose "
                f"wasmtime {installed}: its artifacts load only where you install {installed} "
                "in spite of that"
            )
    return None


def unserved(
    requirement: EngineRequirement, system: System, active: Mapping[str, list[Requirement]]
) -> Iterator[str]:
    """Warn about the Pythons on a system for which the project requires no wasmtime.

    Args:
        requirement: what the project says of wasmtime.
        system: a system of the target.
        active: the lines that count there, by the version of Python.

    Raises:
        WazcacheError: it requires none for any of them.
    """
    from hatch_wazcache.engine.requirements import place_text

    pythons = list(active)
    without = [python for python in pythons if not active[python]]
    if without == pythons:
        raise WazcacheError(
            f"{requirement.where} does not require wasmtime on {system.name}, so no artifact loads "
            f"there; leave {system.name} out of targets, or set WAZCACHE_TARGET=any for a "
            "wheel with the .wasm alone"
        )
    if without:
        place = place_text(system.name, without, pythons)
        yield f"{requirement.where} does not require wasmtime on {place}: no artifact loads there"


def who_waits(users: str, fallback: str) -> str:
    """Say what no artifact means for users.

    Args:
        users: who they are.
        fallback: the option `fallback`.
    """
    if fallback == "error":
        return f"the package does not load its .wasm for {users}"
    when = "their first start" if fallback == "cache" else "every start"
    return f"{users} wait for the compiler at {when}"


class _Check(NamedTuple):
    """The checks of one build."""

    requirement: EngineRequirement
    installed: str
    fallback: str
    companion: bool

    def system(self, system: System, pythons: list[str]) -> Iterator[str]:
        """Check the lines that count for the users of a system."""
        from hatch_wazcache.engine.requirements import place_text, requirements_text

        requirement, installed = self.requirement, self.installed
        active = {python: requirement.active(system, python) for python in pythons}
        yield from unserved(requirement, system, active)
        unfit: dict[str, list[str]] = {}
        for python, lines in active.items():
            if lines and not admit(lines, installed):
                unfit.setdefault(requirements_text(lines), []).append(python)
        if sum(map(len, unfit.values())) == len(list(filter(None, active.values()))):
            self._refuse(system, next(iter(unfit)))
        for text, versions in unfit.items():
            yield (
                f"{requirement.where} says {text} for "
                f"{place_text(system.name, versions, pythons)}, but the artifacts are for wasmtime "
                f"{installed}: {who_waits('users there', self.fallback)}"
            )
        distinct = {requirements_text(lines): lines for lines in active.values()}
        for lines in distinct.values():
            if lines and admit(lines, installed) and (text := self._too_wide(lines)):
                yield f"{requirement.where} says {text}"

    def _refuse(self, system: System, text: str) -> None:
        problem = (
            f"wasmtime {self.installed} is installed in this environment, but "
            f"{self.requirement.where} says {text}"
        )
        if system == native_system():
            raise WasmtimeError(
                problem, "install a version that fits; a build with isolation does that by itself"
            )
        raise WazcacheError(
            f"{problem} for {system.name}; build that target alone, with a wasmtime that fits "
            f"(WAZCACHE_TARGET={system.name}), or leave it out of targets"
        )

    def dependencies(self) -> list[str]:
        """Check a project that does not name wasmtime: a dependency may require it."""
        from hatch_wazcache.engine.requirements import for_one_major

        if problem := self.requirement.disagreement:
            return [problem]
        found, unknown = required_by(self.requirement.others)
        for name, line in found:
            if not admit([line], self.installed):
                raise WazcacheError(
                    f"wasmtime {self.installed} is installed in this environment, but {name}, a "
                    f"dependency of the project, requires {line}; set the option "
                    f'engine = "wasmtime{line.specifier}"'
                )
        if found:
            names = " and ".join(dict.fromkeys(name for name, _line in found))
            text = self._too_wide([line for _name, line in found])
            return [f"{names}, a dependency of the project, requires {text}"] if text else []
        return [self.requirement.no_wasmtime(unknown, for_one_major(_major(self.installed)))]

    def _too_wide(self, lines: list[Requirement]) -> str:
        """Say that lines admit other major versions than the installed one; empty if they do not.

        It is also empty if a companion serves them.
        """
        from hatch_wazcache.engine.requirements import (
            admits_other_majors,
            for_one_major,
            requirements_text,
        )

        major = _major(self.installed)
        if self.companion or major is None or not admits_other_majors(lines, {major}):
            return ""
        return (
            f"{requirements_text(lines)}, which admits other major versions than {major}: "
            f"{who_waits('users with another one', self.fallback)}; set the option engines to "
            f'compile for several versions, or require "{for_one_major(major)}" instead'
        )


def _major(version: str) -> int | None:
    major = version.partition(".")[0]
    return int(major) if major.isdigit() else None
