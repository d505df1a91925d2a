"""The project's requirement on wasmtime: the version for a build, and the versions of users."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import TARGETS, native_system, native_target
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.installed_requirements import (
    admit,
    counts_here,
    is_installed,
    is_wasmtime,
    names,
    parse,
    required_by,
)
from hatch_wazcache.util import environment
from hatch_wazcache.util.exact_versions import exact_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_wazcache.engine.targets import System, Target
    from hatch_wazcache.project.config import Config

__all__ = [
    "METADATA",
    "EngineRequirement",
    "Places",
    "admitted_pythons",
    "one_requirement",
    "this_python",
]


class Places(NamedTuple):
    """Where the metadata of a project stands, for messages."""

    dependencies: str = "project.dependencies"
    extras: str = "project.optional-dependencies"
    python: str = "project.requires-python"
    add_to: str = "project.dependencies"
    """Where a dependency is to be added."""


PYPROJECT = Places()

METADATA = Places(
    "METADATA: Requires-Dist",
    "METADATA: Requires-Dist of extras",
    "METADATA: Requires-Python",
    "the dependencies of its project",
)
"""The places in a finished wheel. Nobody changes them there."""


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
    optional: tuple[str, ...] = ()
    """All requirements of extras."""
    places: Places = PYPROJECT

    @classmethod
    def of(
        cls,
        dependencies: Iterable[str],
        optional_dependencies: Mapping[str, Iterable[str]],
        engine: str | None,
        companion: str | None = None,
        places: Places = PYPROJECT,
    ) -> EngineRequirement:
        """Find the requirement.

        Args:
            dependencies: `[project].dependencies`.
            optional_dependencies: `[project.optional-dependencies]`. They count if only extras
                name wasmtime, and all of them agree.
            engine: the option `engine`, which is added to the other lines; or WAZCACHE_ENGINE, if
                that is set, which replaces them.
            companion: the option `companion`. A build does not need this dependency.
            places: where the dependencies stand, for messages.
        """
        if engine is not None and environment.read_variable(environment.ENGINE):
            before = cls.of(dependencies, optional_dependencies, None, companion, places)
            where, replaced = environment.ENGINE, before.lines
            return before._replace(lines=(engine,), where=where, replaced=replaced)
        dependencies = list(dependencies)
        lines = [line for line in dependencies if is_wasmtime(line)]
        others = tuple(
            line for line in dependencies if not (is_wasmtime(line) or names(line, companion))
        )
        where = places.dependencies
        extras = [line for lines in optional_dependencies.values() for line in lines]
        if not lines:
            distinct = {_without_name(line): line for line in extras if is_wasmtime(line)}
            lines = list(distinct.values()) if len(distinct) == 1 else []
            where = places.extras if distinct else where
        if engine is not None:
            where = f"{where} and the option engine" if lines else "the option engine"
            lines.append(engine)
        return cls(tuple(lines), where, others, optional=tuple(extras), places=places)

    @property
    def disagreement(self) -> str | None:
        """What to do if extras disagree on wasmtime; None if they agree, or do not name it."""
        if self.lines or self.where != self.places.extras:
            return None
        return f"{self.where} has several requirements on wasmtime: set the option engine to one"

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
            self.active(system, version)
            for system in target.systems
            for version in admitted_pythons(python)
        )
        return target if has_users else TARGETS["any"]

    def to_install(self, config: Config, root: Path) -> list[str]:
        """Return the requirements that the build environment lacks.

        An installed wasmtime that fits is enough. It may come from uv's match-runtime, or from the
        packager of a distribution. If only one version fits, the cache may have it from an earlier
        build. For the option `engines`, a build fetches wasmtime itself. With
        a companion it may need both: it is not known which wheels the front end asks for.

        Args:
            config: the options.
            root: the project's root.
        """
        needed = [] if config.wheel_engines else self.needed(config.possible_targets)
        lines = [line for line in needed if is_wasmtime(line)]
        missing = [] if is_installed(lines) or self._is_kept(config, root) else needed
        chosen = self.where == environment.ENGINE
        if config.runtime is not None and not chosen:  # it need not admit the wasmtime chosen
            from hatch_wazcache.project.runtime import is_at_hand

            missing = [*missing, *([] if is_at_hand(config.runtime) else [config.runtime])]
            missing = list(dict.fromkeys(missing))  # it is often a dependency, too
        if config.engines or config.compiler == "pypi" or (config.runtime and chosen):
            from hatch_wazcache.project.engines import to_fetch_with

            missing = [*missing, *to_fetch_with(config, root)]
        if config.remote is not None:
            from hatch_wazcache.project.remote_requirements import needed_for_remote

            missing = [*missing, *needed_for_remote(config.remote)]
        if config.sbom:
            from hatch_wazcache.wheels.sbom import REQUIREMENT

            missing = [*missing, REQUIREMENT]
        return missing

    def pinned(self, config: Config) -> str | None:
        """Return the requirement on the only wasmtime that an installer can choose here.

        It is None if an installer has a choice, or if a runtime may restrict it. The build does not
        need the installer then: a wheel of this version in the cache is the same wheel.

        Args:
            config: the options.
        """
        if config.wheel_engines or config.runtime is not None:
            return None
        lines = [line for line in self.needed(config.possible_targets) if is_wasmtime(line)]
        active = [one for one in map(parse, lines) if counts_here(one, {""})]
        exact = [version for one in active for version in exact_versions(one)]
        if not exact or not admit(active, exact[0]) or any(one.url for one in active):
            return None
        return f"wasmtime=={exact[0]}"

    def _is_kept(self, config: Config, root: Path) -> bool:
        """Say whether the cache has the only wasmtime that an installer can choose."""
        pinned = self.pinned(config)
        if pinned is None:
            return False
        from hatch_wazcache.project.fetched import find_in_cache

        return find_in_cache(config, root, parse(pinned)) is not None

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
            lines = [_without_marker(line) for line in self.active(systems[0], this_python())]
        return lines or [*self.others, "wasmtime"]

    def no_wasmtime(self, unknown: Sequence[str], pin: str) -> str:
        """Return a warning: neither the project nor a known dependency requires wasmtime.

        Args:
            unknown: the dependencies that are not installed.
            pin: the requirement to add.
        """
        text = f"{self.where} does not name wasmtime"
        if unknown:
            text += (
                f"; if a dependency requires it ({', '.join(unknown)}), set the option engine to "
                "the same requirement; if none does, the installed package cannot import it"
            )
        else:
            text += ", and no dependency requires it, so the installed package cannot import it"
        return f'{text}: add "{pin}" to {self.places.add_to}'

    def active(self, system: System, python: str) -> list[Requirement]:
        """Return the lines that count for the users of a system with a Python.

        Raises:
            WazcacheError: a marker compares what cannot be compared.
        """
        from hatch_wazcache.engine.requirements import WasmtimeRequirements, marker_environment

        requirements = WasmtimeRequirements(tuple(map(parse, self.lines)))
        try:
            lists = requirements.on(marker_environment(system, python))
        except ValueError as error:
            raise WazcacheError(
                f"{self.where}: has a requirement that cannot be evaluated ({error})"
            ) from error
        return lists[0] if lists else []


def one_requirement(requirement: EngineRequirement, targets: Iterable[Target]) -> str:
    """Return the requirement on the one wasmtime that a wheel is compiled for.

    Args:
        requirement: of the project.
        targets: what is built.

    Raises:
        WazcacheError: the project does not name wasmtime, and it is not known what the projects
            that it requires say about it.
    """
    lines = [line for line in requirement.needed(targets) if is_wasmtime(line)]
    if not requirement.lines:
        found, unknown = required_by(requirement.others)
        if unknown:
            raise WazcacheError(
                f"{requirement.where} does not name wasmtime, and of what it requires "
                f"({', '.join(unknown)}) nothing is known here; name the wasmtime with the option "
                "engine"
            )
        lines += [str(line) for _name, line in found]
    active = [one for one in map(parse, lines) if counts_here(one, {""})]
    return f"wasmtime{','.join(str(one.specifier) for one in active if one.specifier)}"


def _without_marker(requirement: Requirement) -> str:
    requirement.marker = None
    return str(requirement)


def _without_name(line: str) -> str:
    """Write a requirement so that equal ones have equal texts."""
    requirement = parse(line)
    requirement.name = "wasmtime"
    return str(requirement)


def admitted_pythons(requires_python: str) -> list[str]:
    """Return the versions of Python that users may have."""
    from hatch_wazcache.engine.requirements import PYTHONS, WasmtimeRequirements

    requirements = WasmtimeRequirements((), python=requires_python)
    return list(filter(requirements.admits_python, PYTHONS)) or [this_python()]


def this_python() -> str:
    """Return the version of the Python that builds, such as `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
