"""Checks that the users of a wheel have the wasmtime that its artifacts are compiled for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WasmtimeError, WazcacheError
from hatch_wazcache.project.engine_requirement import EXTRAS, admitted_pythons, this_python
from hatch_wazcache.project.installed_requirements import admit, required_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.project.engine_requirement import EngineRequirement

__all__ = ["check_engine", "contradiction"]


def check_engine(
    requirement: EngineRequirement, installed: str, target: Target, python: str = ""
) -> list[str]:
    """Compare the installed version with the requirement, as it counts for a target's users.

    Args:
        requirement: what the project says of wasmtime.
        installed: the version of the wasmtime wheel.
        target: the target of the wheel.
        python: the project's requires-python.

    Returns:
        Warnings about users who may have another version.

    Raises:
        WazcacheError: no user of the target has the installed version.
    """
    if not requirement.lines:
        return _check_dependencies(requirement, installed)
    return list(
        dict.fromkeys(
            warning
            for system in target.systems
            for warning in _check_system(requirement, installed, system, admitted_pythons(python))
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


def _check_system(
    requirement: EngineRequirement, installed: str, system: System, pythons: list[str]
) -> Iterator[str]:
    from hatch_wazcache.engine.requirements import place_text, requirements_text

    active = {python: requirement.active(system, python) for python in pythons}
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
    unfit: dict[str, list[str]] = {}
    for python, lines in active.items():
        if lines and not admit(lines, installed):
            unfit.setdefault(requirements_text(lines), []).append(python)
    if sum(map(len, unfit.values())) + len(without) == len(pythons):
        _refuse(requirement, installed, system, next(iter(unfit)))
    for text, versions in unfit.items():
        yield (
            f"{requirement.where} says {text} for {place_text(system.name, versions, pythons)}, "
            f"but the artifacts are for wasmtime {installed}: users there wait for the compiler at "
            "every start"
        )
    for lines in active.values():
        if lines and admit(lines, installed) and (text := _too_wide(lines, installed)):
            yield f"{requirement.where} says {text}"


def _refuse(requirement: EngineRequirement, installed: str, system: System, text: str) -> None:
    if system == native_system():
        raise WasmtimeError(
            f"wasmtime {installed} is installed in this environment, but {requirement.where} says "
            f"{text}",
            "install a version that fits; a build with isolation does that by itself",
        )
    raise WazcacheError(
        f"wasmtime {installed} is installed in this environment, but {requirement.where} says "
        f"{text} for {system.name}; build that target alone, with a wasmtime that fits "
        f"(WAZCACHE_TARGET={system.name}), or leave it out of targets"
    )


def _check_dependencies(requirement: EngineRequirement, installed: str) -> list[str]:
    """Check a project that does not name wasmtime: a dependency may require it."""
    from hatch_wazcache.engine.requirements import for_one_major

    if requirement.where == EXTRAS:
        text = "has several requirements on wasmtime: set the option engine to one of them"
        return [f"{EXTRAS} {text}"]
    pin = for_one_major(_major(installed))
    found, unknown = required_by(requirement.others)
    for name, line in found:
        if not admit([line], installed):
            raise WazcacheError(
                f"wasmtime {installed} is installed in this environment, but {name}, a "
                f"dependency of the project, requires {line}; set the option "
                f'engine = "wasmtime{line.specifier}"'
            )
    if found:
        names = " and ".join(dict.fromkeys(name for name, _line in found))
        text = _too_wide([line for _name, line in found], installed)
        return [f"{names}, a dependency of the project, requires {text}"] if text else []
    text = f"{requirement.where} does not name wasmtime"
    if unknown:
        text += (
            f"; if a dependency requires it ({', '.join(unknown)}), set the option engine to "
            "the same requirement; if none does, the installed package cannot import it"
        )
    else:
        text += ", and no dependency requires it, so the installed package cannot import it"
    return [f'{text}: add "{pin}" to project.dependencies']


def _too_wide(lines: list[Requirement], installed: str) -> str:
    """Say that lines admit other major versions than the installed one; empty if they do not."""
    from hatch_wazcache.engine.requirements import (
        admits_other_majors,
        for_one_major,
        requirements_text,
    )

    major = _major(installed)
    if major is None or not admits_other_majors(lines, {major}):
        return ""
    return (
        f"{requirements_text(lines)}, which admits other major versions than {major}: users with "
        "another one wait for the compiler at every start; require "
        f'"{for_one_major(major)}" instead'
    )


def _major(version: str) -> int | None:
    major = version.partition(".")[0]
    return int(major) if major.isdigit() else None
