"""Gives a project the profiles and the requirement on wasmtime of its runtime.

It also says where the project and its runtime part ways.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.fetched import fetched_now, find_in_cache
from hatch_wazcache.project.installed_requirements import names, parse
from hatch_wazcache.project.runtime import read_runtime
from hatch_wazcache.util import environment
from hatch_wazcache.util.toml_text import toml_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.requirements import Requirement

    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.engine_requirement import EngineRequirement
    from hatch_wazcache.project.runtime import Runtime

__all__ = ["with_runtime"]


def with_runtime(
    config: Config, requirement: EngineRequirement, root: Path, *, may_fetch: bool
) -> tuple[Config, EngineRequirement, tuple[str, ...]]:
    """Read the runtime of a project, and complete the options and the requirement with it.

    Args:
        config: the options; `runtime` is set.
        requirement: what the project itself says of wasmtime.
        root: the project's root.
        may_fetch: whether to fetch a runtime that is neither installed nor in the cache.

    Returns:
        The options, the requirement, and warnings where the project and its runtime part ways.

    Raises:
        WazcacheError: there is no such runtime, or an asset names a profile that it lacks.
    """
    assert config.runtime is not None
    where = config.where("runtime")
    with ExitStack() as stack:

        def fetched(wanted: Requirement) -> Path | None:
            if not may_fetch:
                return find_in_cache(config, root, wanted, mark=False)
            try:
                return stack.enter_context(fetched_now(config, root, wanted, where))
            except WazcacheError as error:
                raise WazcacheError(
                    f"{error}; or install {wanted} in this environment: a build does that if "
                    "build-system.requires names it"
                ) from error

        runtime = read_runtime(config.runtime, where, fetched)
    warnings = (
        *_dependency_warnings(config, requirement, runtime),
        *_wasmtime_warnings(requirement, runtime),
    )
    return _with_profiles(config, runtime), _with_lines(requirement, runtime), warnings


def _with_profiles(config: Config, runtime: Runtime) -> Config:
    """Replace the profiles by those of the runtime.

    Raises:
        WazcacheError: an asset names another one, or its sections are needed and stripped.
    """
    known = tuple(runtime.profiles)
    named = dict.fromkeys(name for asset in config.assets for name in asset.profiles)
    problems = [
        f"{config.where('assets')}: the profile {name} is none of the runtime {runtime}; there is "
        f"{', '.join(known)}"
        for name in named
        if name not in known
    ]
    problems += [
        f'{config.where("strip")}: must not contain "debug": the runtime {runtime} has '
        f"profiles.{toml_key(name)}.debug-info = true, which needs those sections"
        for name, profile in runtime.profiles.items()
        if "debug" in config.strip and profile.settings.get("debug-info") is True
    ]
    if problems:
        raise WazcacheError("\n".join(problems))
    assets = tuple(
        asset if asset.profiles else asset._replace(profiles=known) for asset in config.assets
    )
    return config._replace(profiles=runtime.profiles, asset_profiles=known, assets=assets)


def _with_lines(requirement: EngineRequirement, runtime: Runtime) -> EngineRequirement:
    """Add the runtime's requirements on wasmtime, which count for its users, too."""
    if requirement.where == environment.ENGINE:
        return requirement._replace(replaced=(*requirement.replaced, *runtime.wasmtime))
    if not runtime.wasmtime:
        return requirement
    where = f"the runtime {runtime}"
    if requirement.lines:
        where = f"{requirement.where} and {where}"
    return requirement._replace(lines=(*requirement.lines, *runtime.wasmtime), where=where)


def _dependency_warnings(
    config: Config, requirement: EngineRequirement, runtime: Runtime
) -> Iterator[str]:
    """Warn if users get another runtime than the option says, or none."""
    option = f'{config.where("runtime")} = "{config.runtime}"'
    lines = [*requirement.others, *requirement.optional]
    found = [line for line in lines if names(line, runtime.name)]
    if not found:
        yield (
            f"{option}: no dependency names {runtime.name}, so no installer installs it; add "
            f'"{config.runtime}" to {requirement.places.add_to}'
        )
    for line in found:
        if other := _other_version(parse(line), parse(str(config.runtime))):
            yield (
                f'{requirement.places.dependencies} says "{line}", which admits {runtime.name} '
                f"{other}, but {option} does not: if its profiles are others, no artifact loads "
                "in it; write the same in both"
            )


def _wasmtime_warnings(requirement: EngineRequirement, runtime: Runtime) -> Iterator[str]:
    """Warn if the project's own requirement on wasmtime contradicts the runtime's."""
    from hatch_wazcache.engine.requirements import admits_other_majors, requirements_text

    own = requirement.replaced if requirement.where == environment.ENGINE else requirement.lines
    both = [[parse(line) for line in lines] for lines in (own, runtime.wasmtime)]
    if all(both) and not admits_other_majors([*both[0], *both[1]], set()):
        where = requirement.where
        if where == environment.ENGINE:
            where = requirement.places.dependencies
        yield (
            f"{where} says {requirements_text(both[0])}, but the runtime {runtime} requires "
            f"{requirements_text(both[1])}: no installer can install both"
        )


def _other_version(line: Requirement, option: Requirement) -> str | None:
    """Return a version that a dependency admits and the option does not; None if there is none.

    If there is one, it is near one of the versions that the two name.
    """
    for version in _near([*line.specifier, *option.specifier]):
        admitted = line.specifier.contains(version, prereleases=True)
        if admitted and not option.specifier.contains(version, prereleases=True):
            return version
    return None


def _near(specifiers: Iterable[object]) -> Iterator[str]:
    for specifier in specifiers:
        try:
            release = Version(str(getattr(specifier, "version", "")).removesuffix(".*")).release
        except InvalidVersion:
            continue
        yield ".".join(map(str, release))
        for place in range(len(release)):
            for step in (1, -1):
                near = (*release[:place], max(release[place] + step, 0))
                yield ".".join(map(str, near))
        yield ".".join(map(str, (*release, 1)))
    yield "0"
