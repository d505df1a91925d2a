"""Checks whether a project and its companion fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.resources import companion_folder
from hatch_wazcache.util.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_wazcache.project.config import Config

__all__ = ["check_companion", "companion_problems", "order_note", "shared_folder"]


def check_companion(
    config: Config,
    project: str,
    dependencies: Iterable[str],
    optional_dependencies: Mapping[str, Iterable[str]],
    add_to: str = "project.dependencies",
) -> None:
    """Check that installers install the companions together with the project.

    Args:
        config: the options.
        project: the project's name.
        dependencies: `[project].dependencies`.
        optional_dependencies: `[project.optional-dependencies]`. An extra can name the companion,
            if it is the extra that names wasmtime.
        add_to: where a dependency is to be added, for messages.

    Raises:
        WazcacheError: they do not; one line for each reason.
    """
    if config.companion is None:
        return
    extras = [line for lines in optional_dependencies.values() for line in lines]
    where = f"{config.where('companion')} = {toml_value(config.companion)}"
    problems = companion_problems(config.companion, project, [*dependencies, *extras], add_to)
    if lines := [f"{where}: {problem}" for problem in problems]:
        raise WazcacheError("\n".join(lines))


def shared_folder(config: Config, paths: Iterable[str]) -> Iterator[str]:
    """Yield a problem if the project has files in the folder that its companions have, too.

    Args:
        config: the options.
        paths: the paths in the project's wheel.
    """
    if config.companion is None:
        return
    folder = companion_folder(config.companion)
    prefix = f"{folder}/".casefold()  # Windows and macOS do not tell A from a
    if any(path.casefold().startswith(prefix) for path in paths):
        yield (
            f"{config.where('companion')} = {toml_value(config.companion)}: must be another name: "
            f"the companion's files are in the folder {folder}, and the project has files there"
        )


def companion_problems(
    companion: str, project: str, dependencies: Iterable[str], add_to: str
) -> Iterator[str]:
    """Yield the reasons why installers would not install the companions of a project.

    Args:
        companion: the companion's name.
        project: the project's name.
        dependencies: all requirements of the project; those of its extras count too.
        add_to: where a dependency is to be added, for messages.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    name = canonicalize_name(companion)
    if name == canonicalize_name(project):
        yield "must be another name than the project's own"
        return
    if name == "wasmtime":
        yield "must be another name than that of wasmtime itself"
        return
    found = []
    for line in dependencies:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # the build system reports it
        if canonicalize_name(requirement.name) == name:
            found.append(requirement)
    if not found:
        yield (
            "no dependency names it, so no installer would install it; add "
            f'"{companion}" to {add_to}'
        )
    for requirement in found:
        if requirement.specifier or requirement.url:
            yield (
                f'the dependency "{requirement}" must be "{companion}", without a version: '
                f"each companion already requires its own version of {project}"
            )


def order_note(companion: str, dependencies: Iterable[str]) -> str | None:
    """Say why uv would choose the newest wasmtime before it looks for a companion; None if not.

    uv chooses packages in the order of `Requires-Dist`; `uv lock` sorts them by name before. If
    there is no companion for the newest wasmtime yet, its users get version 0. pip takes an older
    wasmtime, with a companion.

    Args:
        companion: the companion's name.
        dependencies: the requirements of the package, in the order of its METADATA.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    name = canonicalize_name(companion)
    try:
        names: list[str] = [canonicalize_name(Requirement(line).name) for line in dependencies]
    except InvalidRequirement:
        return None
    if name > "wasmtime":
        way_out = "a name that comes before wasmtime in the alphabet avoids this"
    elif "wasmtime" in names and name in names and names.index("wasmtime") < names.index(name):
        way_out = f"name {companion} before wasmtime in project.dependencies"
    else:
        return None
    return (
        f"uv chooses wasmtime before {companion}, so its users get version 0, and the fallback, as "
        f"long as the newest wasmtime has no companion; {way_out}"
    )
