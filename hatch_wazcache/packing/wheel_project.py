"""The project of a finished wheel: its assets, layout and requirements, read without trust."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.globs import SOURCES, matching
from hatch_wazcache.project.companion import check_companion
from hatch_wazcache.project.engine_requirement import METADATA, EngineRequirement
from hatch_wazcache.project.packages import DeclaredFile, Layout
from hatch_wazcache.project.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_wazcache.packing.from_wheel import FinishedWheel
    from hatch_wazcache.project.config import Config

__all__ = ["project_of", "shown"]


_NAMES_SHOWN = 3
"""How many `.wasm` files a message lists."""

_EXTRA = re.compile(r"""(?:^|\s+and\s+)\(?extra\s*==\s*["']([^"']+)["']\)?$""")
"""The part of a marker by which METADATA assigns a requirement to an extra."""


def project_of(wheel: FinishedWheel, config: Config) -> Project:
    """Return the project of a wheel. Its assets are unpacked.

    Args:
        wheel: an open wheel.
        config: the options.

    Raises:
        WazcacheError: it declares no asset, or its METADATA is not valid; one line for each reason.
    """
    python = wheel.fields.get("requires-python", [""])[0]
    try:
        SpecifierSet(python)
        dependencies, extras = _requirements(wheel.fields.get("requires-dist", []))
    except (InvalidRequirement, InvalidSpecifier, RecursionError) as error:
        problem = str(error).partition("\n")[0]
        raise WazcacheError(
            f"{wheel.path}: {wheel.info}/METADATA: has a line that is not valid ({problem})"
        ) from error
    check_companion(config, wheel.name, dependencies, extras, METADATA.add_to)
    requirement = EngineRequirement.of(
        dependencies, extras, config.engine, config.companion, METADATA
    )
    warnings = None
    if config.runtime is not None:
        from hatch_wazcache.project.with_runtime import with_runtime

        config, requirement, warnings = with_runtime(
            config, requirement, wheel.folder, may_fetch=True
        )
    config = requirement.fit(config, python)
    layout = _layout(wheel, config)
    config = config._replace(loader=_loader(wheel, config, layout))
    return Project(wheel.name, config, layout, requirement, python, warnings)


def _loader(wheel: FinishedWheel, config: Config, layout: Layout) -> str | None:
    """Return the option `loader`. If it is not set, a loader that is there keeps its place."""
    if config.loader != "":
        return config.loader
    if not wheel.loaders:
        return None if wheel.manifests else ""
    folder = PurePosixPath(wheel.loaders[0]).parent
    below = (PurePosixPath(one.relative).is_relative_to(folder) for one in layout.declared or ())
    return wheel.loaders[0] if len(wheel.loaders) == 1 and all(below) else ""


def _layout(wheel: FinishedWheel, config: Config) -> Layout:
    names = [name for name in wheel.reader.names if not _is_about_the_wheel(name)]
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}

    def distribution_path(relative: str) -> str:
        path = PurePosixPath(relative)
        if str(path.parent) in folders or not path.is_relative_to(SOURCES):
            return str(path)
        return str(path.relative_to(SOURCES))

    declared = [
        DeclaredFile(wheel.unpack_member(name), name, profiles, wheel.member(name))
        for name, profiles in _declared(wheel, config, names)
    ]
    assets = {file.relative for file in declared}
    # Only assets are unpacked, and under their digests: no name in the wheel becomes a path.
    files = {
        str(wheel.folder / str(number)): name
        for number, name in enumerate(names)
        if name not in assets
    }
    return Layout(wheel.folder, files, distribution_path, declared=declared)


def _declared(
    wheel: FinishedWheel, config: Config, names: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the members that the globs match, sorted, each with its profiles."""
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    present = [name for name in names if name.endswith(".wasm")]
    for pattern in config.assets:
        matches = matching(names, pattern.glob)
        if not matches:
            problems.append(
                f'{wheel.path}: {config.where("assets")}: "{pattern.glob}" matches no file in the '
                f"wheel; there are {shown(present)}"
            )
        for name in matches:
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *pattern.profiles)))
    if problems and not present:
        raise WazcacheError(f"{wheel.path}: {_why_no_wasm(wheel)}")
    if problems:
        raise WazcacheError("\n".join(problems))
    for name in sorted(found):
        yield name, found[name]


def shown(names: Sequence[str]) -> str:
    """List some names for a message."""
    return ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")


def _why_no_wasm(wheel: FinishedWheel) -> str:
    """Say why a wheel has nothing to compile."""
    if any(asset.wasm is None for manifest in wheel.manifests for asset in manifest.assets):
        return (
            "was built with keep-wasm = false, so it has the artifacts alone; compile the wheel "
            "that has the .wasm"
        )
    return "has no .wasm file"


def _is_about_the_wheel(name: str) -> bool:
    """Say whether a member is in a folder that is not a package."""
    return name.partition("/")[0].endswith((".dist-info", ".data"))


def _requirements(lines: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the requirements of the project, and those of each extra, as `[project]` has them.

    Raises:
        InvalidRequirement: a line is not valid.
    """
    always: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in lines:
        requirement = Requirement(line)
        found = _EXTRA.search(str(requirement.marker or ""))
        if found is None:
            always.append(line)
            continue
        rest = str(requirement.marker)[: found.start()]
        try:
            requirement.marker = Marker(rest) if rest else None
        except InvalidMarker:  # a marker of several alternatives: each may name another extra
            always.append(line)
            continue
        extras.setdefault(found[1], []).append(str(requirement))
    return always, extras
