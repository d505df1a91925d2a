"""Checks the option `engines` against the wasmtime that the users of a wheel can have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.requirements import (
    admits_major,
    admits_other_majors,
    one_major,
    requirements_text,
)
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.engine_check import unserved, who_waits
from hatch_wazcache.project.engine_requirement import admitted_pythons
from hatch_wazcache.project.installed_requirements import parse, required_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement

__all__ = ["EnginesResult", "check_engines"]


class EnginesResult(NamedTuple):
    """What a build says about the users of other versions."""

    warnings: list[str]
    lines: list[str]
    """Ordinary lines: the project admits versions for which it has no artifacts, and they work."""


def check_engines(
    requirement: EngineRequirement, config: Config, target: Target, python: str = ""
) -> EnginesResult:
    """Compare the option `engines` with the requirement, as it counts for a target's users.

    Args:
        requirement: what the project says of wasmtime.
        config: the options; `engines` is set.
        target: the target of the wheel.
        python: the project's requires-python.

    Raises:
        WazcacheError: no user of the target can have one of the engines.
    """
    check = _Check(requirement, config, [one_major(parse(line)) or 0 for line in config.engines])
    result = EnginesResult([], [])
    if not requirement.lines:
        check.dependencies(result)
    for system in target.systems if requirement.lines else ():
        active = {
            version: requirement.active(system, version) for version in admitted_pythons(python)
        }
        result.warnings.extend(unserved(requirement, system, active))
        check.system(system, list(filter(None, active.values())), result)
    return EnginesResult(*(list(dict.fromkeys(texts)) for texts in result))


class _Check(NamedTuple):
    """The checks of one build."""

    requirement: EngineRequirement
    config: Config
    majors: list[int]
    """The major versions, in the order of the option."""

    def system(self, system: System, lists: list[list[Requirement]], result: EnginesResult) -> None:
        """Check the lists of lines that count for users of a system, one list for each Python."""
        where = self.requirement.where
        self._refuse_unused(lists, f"users of {system.name}", f"{where} says")
        result.lines.extend(self._uncovered(lists, f"{where} says"))

    def dependencies(self, result: EnginesResult) -> None:
        """Check a project that does not name wasmtime: a dependency may require it."""
        if problem := self.requirement.disagreement:
            result.warnings.append(problem)
            return
        found, unknown = required_by(self.requirement.others)
        if not found:
            pin = f"wasmtime>={min(self.majors)},<{max(self.majors) + 1}"
            result.warnings.append(self.requirement.no_wasmtime(unknown, pin))
            return
        lines = [line for _name, line in found]
        names = " and ".join(dict.fromkeys(name for name, _line in found))
        said = f"{names}, a dependency of the project, requires"
        self._refuse_unused([lines], "users", said)
        result.lines.extend(self._uncovered([lines], said))

    def _refuse_unused(self, lists: list[list[Requirement]], users: str, said: str) -> None:
        for number, major in enumerate(self.majors):
            if not any(admits_major(lines, major) for lines in lists):
                raise WazcacheError(
                    f"{self.config.where('engines')}[{number}]: {users} cannot have wasmtime "
                    f"{major}, because {said} {_texts(lists)}; leave {major} out of engines, or "
                    "admit it"
                )

    def _uncovered(self, lists: list[list[Requirement]], said: str) -> Iterator[str]:
        """Say what happens with a version that the project admits and engines lacks."""
        wide = [lines for lines in lists if admits_other_majors(lines, set(self.majors))]
        if wide:
            covered = ", ".join(map(str, sorted(self.majors)))
            waits = who_waits("users with another one", self.config.fallback)
            yield (
                f"{said} {_texts(wide)}, which admits other major versions than those of engines "
                f"({covered}): {waits}"
            )


def _texts(lists: Iterable[list[Requirement]]) -> str:
    return " or ".join(dict.fromkeys(map(requirements_text, lists)))
