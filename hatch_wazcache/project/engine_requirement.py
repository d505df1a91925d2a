"""The project's requirement on wasmtime: what to install for a build, and what users will have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.errors import WasmtimeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.requirements import Requirement

__all__ = ["EngineRequirement"]


class EngineRequirement(NamedTuple):
    """What a project says of the wasmtime that it runs on."""

    lines: tuple[str, ...]
    """Requirements, markers included; none if the project does not say."""
    where: str
    """What says so, for messages."""

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
            optional_dependencies: `[project.optional-dependencies]`, for a project whose wasmtime
                is an extra; counts where all that name wasmtime agree.
            engine: the option of this name, which narrows or replaces what they say.
        """
        own = [line for line in dependencies if _is_wasmtime(line)]
        where = "project.dependencies"
        if not own:
            extras = [line for lines in optional_dependencies.values() for line in lines]
            distinct = {_without_name(line): line for line in extras if _is_wasmtime(line)}
            own = list(distinct.values()) if len(distinct) == 1 else []
            where = "project.optional-dependencies"
        if engine is not None:
            where = f"{where} and the option engine" if own else "the option engine"
            own.append(engine)
        return cls(tuple(own), where if own else "project.dependencies")

    def to_install(self) -> list[str]:
        """Return what a build environment needs."""
        return list(self.lines) or ["wasmtime"]

    def check(self, installed: str) -> str | None:
        """Hold the installed version against the requirement.

        Args:
            installed: the version of the wasmtime wheel.

        Returns:
            A warning that says what users will get, if they may have another version; else None.

        Raises:
            WazcacheError: the installed version does not satisfy the requirement.
        """
        major = installed.partition(".")[0]
        pin = f"wasmtime>={major},<{int(major) + 1}" if major.isdigit() else "wasmtime==…"
        requirements = [_parse(line) for line in self.lines]
        active = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
        for requirement in active:
            if not requirement.specifier.contains(installed, prereleases=True):
                raise WasmtimeError(
                    f"wasmtime {installed} is installed in this environment, but {self.where} "
                    f"says {requirement}",
                    "install one that fits; a build with isolation does that by itself",
                )
        if not active:
            return (
                f"{self.where} does not name wasmtime: whoever has another major version than "
                f"{major} waits for the compiler at every start; add "
                f'"{pin}" to project.dependencies'
            )
        if major.isdigit() and _admit_others(active, int(major)):
            said = " and ".join(dict.fromkeys(map(str, active)))
            return (
                f"{self.where} says {said}, which admits other major versions than {major}: "
                f'whoever has one of those waits for the compiler at every start; "{pin}" keeps '
                "users and artifacts together"
            )
        return None


def _admit_others(requirements: Sequence[Requirement], major: int) -> bool:
    """Say whether a version of another major satisfies all.

    If there is one, it is next to this major, or next to one that they name.
    """
    specifiers = [specifier for requirement in requirements for specifier in requirement.specifier]
    named = [specifier.version.partition(".")[0] for specifier in specifiers]
    near = {major, *(int(number) for number in named if number.isdigit())}
    others = {number + step for number in near for step in (-1, 0, 1)} - {major, 0, -1}
    return any(
        all(specifier.contains(f"{other}.{minor}") for specifier in specifiers)
        for other in others
        for minor in ("0.0", "999.999")
    )


def _without_name(line: str) -> str:
    """Write a requirement so that two which ask for the same are equal."""
    requirement = _parse(line)
    requirement.name = "wasmtime"
    return str(requirement)


def _parse(line: str) -> Requirement:
    from packaging.requirements import Requirement

    return Requirement(line)


def _is_wasmtime(line: str) -> bool:
    from packaging.utils import canonicalize_name

    return canonicalize_name(_parse(line).name) == "wasmtime"
