"""The project's requirement on wasmtime: the version for a build, and the versions of users."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import TARGETS, native_system, native_target
from hatch_wazcache.errors import WasmtimeError, WazcacheError
from hatch_wazcache.project.installed_requirements import (
    admit,
    is_installed,
    is_wasmtime,
    parse,
    required_by,
)
from hatch_wazcache.util import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.project.config import Config

__all__ = ["EngineRequirement"]

_EXTRAS = "project.optional-dependencies"


class EngineRequirement(NamedTuple):
    """The lines of a project that decide which wasmtime its users have."""

    lines: tuple[str, ...]
    """Requirements on wasmtime, with their markers; empty if the project has none."""
    where: str
    """The place of the lines, for messages."""
    others: tuple[str, ...] = ()
    """The other dependencies, one of which may require wasmtime."""
    replaced: tuple[str, ...] = ()
    """The lines that WAZCACHE_ENGINE replaces for one build."""

    @classmethod
    def of(
        cls,
        dependencies: Iterable[str],
        optional_dependencies: Mapping[str, Iterable[str]],
        engine: str | None,
    ) -> EngineRequirement:
        """Find the requirement.

        Args:
            dependencies: `[project].dependencies`.
            optional_dependencies: `[project.optional-dependencies]`. They count if only extras
                name wasmtime, and all of them agree.
            engine: the option `engine`, which is added to the other lines; or WAZCACHE_ENGINE, if
                that is set, which replaces them.
        """
        if engine is not None and environment.read_variable(environment.ENGINE):
            replaced = cls.of(dependencies, optional_dependencies, None).lines
            return cls((engine,), environment.ENGINE, replaced=replaced)
        dependencies = list(dependencies)
        lines = [line for line in dependencies if is_wasmtime(line)]
        others = tuple(line for line in dependencies if not is_wasmtime(line))
        where = "project.dependencies"
        if not lines:
            extras = [line for lines in optional_dependencies.values() for line in lines]
            distinct = {_without_name(line): line for line in extras if is_wasmtime(line)}
            lines = list(distinct.values()) if len(distinct) == 1 else []
            where = _EXTRAS if distinct else where
        if engine is not None:
            where = f"{where} and the option engine" if lines else "the option engine"
            lines.append(engine)
        return cls(tuple(lines), where, others)

    def fit(self, config: Config, python: str) -> Config:
        """Replace this machine's target with `any`, if no user of such a machine has wasmtime.

        Args:
            config: the options.
            python: the project's requires-python.
        """
        if config.wanted is not None:
            return config
        native = native_target()
        fitting = self.target_or_any(native, python)
        targets = (fitting if target == native else target for target in config.targets)
        return config._replace(targets=tuple(dict.fromkeys(targets)))

    def target_or_any(self, target: Target, python: str) -> Target:
        """Return a target; or `any`, if the project requires wasmtime for none of its users.

        Args:
            target: any target.
            python: the project's requires-python.
        """
        has_users = not self.lines or any(
            self._active(system, version)
            for system in target.systems
            for version in _pythons(python)
        )
        return target if has_users else TARGETS["any"]

    def to_install(self, targets: Iterable[Target]) -> list[str]:
        """Return the requirements that the build environment lacks.

        An installed wasmtime that fits is enough. It may come from uv's match-runtime, or from the
        packager of a distribution.

        Args:
            targets: the targets that may be built.
        """
        needed = self.needed(targets)
        lines = [line for line in needed if is_wasmtime(line)]
        return [] if is_installed(lines) else needed

    def needed(self, targets: Iterable[Target]) -> list[str]:
        """Return the requirements of a build environment.

        If the project does not name wasmtime, its dependencies are among them: one may require a
        certain wasmtime, and the installer then chooses a version that users will get.

        Args:
            targets: the targets that may be built. Those without artifacts need nothing.
        """
        systems = [system for target in targets for system in target.systems]
        if not systems:
            return []
        lines = list(self.lines)
        if lines and native_system() not in systems:
            lines = [_without_marker(line) for line in self._active(systems[0], _this_python())]
        return lines or [*self.others, "wasmtime"]

    def check(self, installed: str, target: Target, python: str = "") -> list[str]:
        """Compare the installed version with the requirement, as it counts for a target's users.

        Args:
            installed: the version of the wasmtime wheel.
            target: the target of the wheel.
            python: the project's requires-python.

        Returns:
            Warnings about users who may have another version.

        Raises:
            WazcacheError: no user of the target has the installed version.
        """
        if not self.lines:
            return self._check_dependencies(installed)
        return list(
            dict.fromkeys(
                warning
                for system in target.systems
                for warning in self._check_system(installed, system, _pythons(python))
            )
        )

    def contradiction(self, installed: str, target: Target) -> str | None:
        """Say that the wheel will require another wasmtime than WAZCACHE_ENGINE has chosen.

        Args:
            installed: the version of the wasmtime wheel.
            target: the target of the wheel.
        """
        from hatch_wazcache.engine.requirements import requirements_text

        project = self._replace(lines=self.replaced)
        for system in target.systems:
            lines = project._active(system, _this_python())  # noqa: SLF001  # of the same class
            if lines and not admit(lines, installed):
                return (
                    f"the wheel requires {requirements_text(lines)}, but {self.where} chose "
                    f"wasmtime {installed}: its artifacts load only where you install {installed} "
                    "in spite of that"
                )
        return None

    def _check_system(self, installed: str, system: System, pythons: list[str]) -> Iterator[str]:
        from hatch_wazcache.engine.requirements import place_text, requirements_text

        active = {python: self._active(system, python) for python in pythons}
        without = [python for python in pythons if not active[python]]
        if without == pythons:
            raise WazcacheError(
                f"{self.where} does not require wasmtime on {system.name}, so no artifact loads "
                f"there; leave {system.name} out of targets, or set WAZCACHE_TARGET=any for a "
                "wheel with the .wasm alone"
            )
        if without:
            place = place_text(system.name, without, pythons)
            yield f"{self.where} does not require wasmtime on {place}: no artifact loads there"
        unfit: dict[str, list[str]] = {}
        for python, lines in active.items():
            if lines and not admit(lines, installed):
                unfit.setdefault(requirements_text(lines), []).append(python)
        if sum(map(len, unfit.values())) + len(without) == len(pythons):
            self._refuse(installed, system, next(iter(unfit)))
        for text, versions in unfit.items():
            yield (
                f"{self.where} says {text} for {place_text(system.name, versions, pythons)}, but "
                f"the artifacts are for wasmtime {installed}: users there wait for the compiler at "
                "every start"
            )
        for lines in active.values():
            if lines and admit(lines, installed) and (text := _too_wide(lines, installed)):
                yield f"{self.where} says {text}"

    def _refuse(self, installed: str, system: System, text: str) -> None:
        if system == native_system():
            raise WasmtimeError(
                f"wasmtime {installed} is installed in this environment, but {self.where} says "
                f"{text}",
                "install a version that fits; a build with isolation does that by itself",
            )
        raise WazcacheError(
            f"wasmtime {installed} is installed in this environment, but {self.where} says {text} "
            f"for {system.name}; build that target alone, with a wasmtime that fits "
            f"(WAZCACHE_TARGET={system.name}), or leave it out of targets"
        )

    def _check_dependencies(self, installed: str) -> list[str]:
        """Check a project that does not name wasmtime: a dependency may require it."""
        from hatch_wazcache.engine.requirements import for_one_major

        if self.where == _EXTRAS:
            text = "has several requirements on wasmtime: set the option engine to one of them"
            return [f"{_EXTRAS} {text}"]
        pin = for_one_major(_major(installed))
        found, unknown = required_by(self.others)
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
        text = f"{self.where} does not name wasmtime"
        if unknown:
            text += (
                f"; if a dependency requires it ({', '.join(unknown)}), set the option engine to "
                "the same requirement; if none does, the installed package cannot import it"
            )
        else:
            text += ", and no dependency requires it, so the installed package cannot import it"
        return [f'{text}: add "{pin}" to project.dependencies']

    def _active(self, system: System, python: str) -> list[Requirement]:
        """Return the lines that count for the users of a system with a Python."""
        from hatch_wazcache.engine.requirements import WasmtimeRequirements, marker_environment

        requirements = WasmtimeRequirements(tuple(map(parse, self.lines)))
        lists = requirements.on(marker_environment(system, python))
        return lists[0] if lists else []


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


def _pythons(requires_python: str) -> list[str]:
    """Return the versions of Python that users may have."""
    from hatch_wazcache.engine.requirements import PYTHONS, WasmtimeRequirements

    requirements = WasmtimeRequirements((), python=requires_python)
    return list(filter(requirements.admits_python, PYTHONS)) or [_this_python()]


def _this_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _without_marker(requirement: Requirement) -> str:
    requirement.marker = None
    return str(requirement)


def _without_name(line: str) -> str:
    """Write a requirement so that equal ones have equal texts."""
    requirement = parse(line)
    requirement.name = "wasmtime"
    return str(requirement)
