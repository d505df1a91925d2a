"""The plan of `hatch-wazcache init`: the files to change, and what is left to the user."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hatch_wazcache.adoption.changes import Change
from hatch_wazcache.adoption.ignore_file import change_ignore_file
from hatch_wazcache.adoption.load_calls import read_code
from hatch_wazcache.adoption.loader_files import generated_patterns, new_loaders, renewals
from hatch_wazcache.adoption.options_table import engines_without_profile, new_options
from hatch_wazcache.adoption.project_files import ProjectFiles
from hatch_wazcache.adoption.pyproject_edits import Edits, has_tomlkit
from hatch_wazcache.adoption.requirement import missing_requirement, oldest_wasmtime
from hatch_wazcache.adoption.suggestions import Assets, suggestions_for
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.find_assets import find_assets, matching_files
from hatch_wazcache.project.packages import Packages
from hatch_wazcache.project.pyproject import HOOK
from hatch_wazcache.resources import is_loader
from hatch_wazcache.util.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.adoption.suggestions import Suggestion
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Package

__all__ = ["InitPlan", "plan_init", "plan_update"]

_REQUIREMENTS = {"hatchling": "hatch-wazcache", "setuptools": "hatch-wazcache[setuptools]"}
"""What `build-system.requires` needs; other backends run nothing of ours."""


class InitPlan(NamedTuple):
    """What `init` would change, and what it leaves to the user."""

    root: Path
    kind: str
    """`hatchling`, `setuptools` or `other`: the part of hatch-wazcache that the backend calls."""
    changes: tuple[Change, ...]
    by_hand: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    loaders: tuple[Path, ...] = ()
    """The loaders to commit."""
    lacks_tomlkit: bool = False
    """Whether `by_hand` begins with lines that `init` could write if tomlkit were installed. Then
    there are no changes."""


def plan_init(root: Path) -> InitPlan:
    """Plan what a project lacks. Writes nothing.

    Args:
        root: the project's root, absolute.

    Raises:
        WazcacheError: the project cannot be read, has no place for a loader, or its files are
            in the way.
    """
    project = ProjectFiles(root)
    sources = [Path(source) for source in project.layout.files if source.endswith(".py")]
    own = [path for path in sources if path.is_relative_to(root) and not is_loader(path)]
    code = read_code(root, own)
    by_hand: list[str] = []
    if project.has_options:
        tables, config = f"[{HOOK}]\n" if project.lacks_hook else "", project.config()
    else:
        tables, config = new_options(project, code, by_hand)
    if config.runtime is None:  # which has the profiles
        by_hand += engines_without_profile(code.engines, config)
    assets = _find(project, config, by_hand)
    loaders = {
        package.source / package.loader: package for package in assets.packages if package.loader
    }
    needed = config.runtime or oldest_wasmtime(assets.files)
    edits = _edits(project, tables, needed, by_hand)
    suggestions = tuple(suggestions_for(project, assets, code.calls))
    if not has_tomlkit() and any(one.needs_tomlkit for one in edits):
        missing = [line for one in edits for line in one.by_hand()]
        return InitPlan(
            root, project.kind, (), (*missing, *by_hand), suggestions, lacks_tomlkit=True
        )
    changes = [
        *new_loaders(root, loaders, by_hand),
        *change_ignore_file(root, loaders, generated_patterns(project, assets)),
        *(_edit(root / one.file, one) for one in edits),
    ]
    return InitPlan(root, project.kind, tuple(changes), tuple(by_hand), suggestions, tuple(loaders))


def plan_update(root: Path) -> InitPlan:
    """Plan the renewal of all committed loaders. Writes nothing.

    Args:
        root: the project's root, absolute.

    Raises:
        WazcacheError: there is none, or the project cannot be read.
    """
    project = ProjectFiles(root)
    loaders, changes = renewals(project)
    return InitPlan(root, project.kind, tuple(changes), loaders=tuple(loaders))


def _find(project: ProjectFiles, config: Config, by_hand: list[str]) -> Assets:
    """Find the assets of the options, and their packages; also where there is no file yet."""
    packages = Packages(config, project.layout)
    found: dict[Package, None] = {}
    files: list[Path] = []
    if config.loader and not config.assets:  # the assets are in other distributions
        found[packages.of_loader(config.loader)] = None
    for pattern in config.assets:
        if not matching_files(project.root, pattern.glob):
            found[project.package_of_pattern(config, pattern.glob)] = None
            by_hand.append(
                f'no file matches "{pattern.glob}" yet: generate the .wasm before each build, or '
                "check it out"
            )
            continue
        for one in find_assets(config._replace(assets=(pattern,)), project.root):
            found[packages.of(project.in_wheel(one.relative), one.relative)] = None
            files.append(one.path)
    return Assets(files, list(found))


def _edits(project: ProjectFiles, tables: str, needed: str, by_hand: list[str]) -> list[Edits]:
    """Return what the TOML files lack."""
    system, requirement = "", _REQUIREMENTS.get(project.kind, "")
    if requirement and "build-system" not in project.pyproject:
        system = f'[build-system]\nrequires = ["setuptools", "{requirement}"]\n\n'
    if system or _has_requirement(project.pyproject):
        requirement = ""
    missing = missing_requirement(project.root, project.pyproject, needed)
    if missing.by_hand:
        by_hand.append(missing.by_hand)
    if project.hatch_toml is None:
        edits = [Edits("pyproject.toml", requirement, missing.line, system + tables)]
    else:
        tables = tables.replace("[tool.hatch.", "[")
        edits = [
            Edits("hatch.toml", tables=tables),
            Edits("pyproject.toml", requirement, missing.line, system),
        ]
    return [one for one in edits if one]


def _has_requirement(pyproject: Mapping[str, object]) -> bool:
    """Say whether `build-system.requires` has hatch-wazcache.

    Raises:
        WazcacheError: it is no list of requirements, so nothing can be added to it.
    """
    system = pyproject.get("build-system")
    if system is None:
        return False
    requires = system.get("requires") if isinstance(system, dict) else None
    with suppress(InvalidRequirement, TypeError):
        if isinstance(requires, list):
            names = [canonicalize_name(Requirement(line).name) for line in requires]
            return "hatch-wazcache" in names
    raise WazcacheError(
        f"build-system.requires in pyproject.toml is {toml_value(requires)}: must be a list of "
        "requirements"
    )


def _edit(path: Path, edits: Edits) -> Change:
    before = path.read_bytes() if path.is_file() else None
    return Change(Path(os.path.realpath(path)), before, edits.apply(before or b""))
