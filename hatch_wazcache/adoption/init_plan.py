"""The plan of `hatch-wazcache init`: the files to change, and what is left to the user."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hatch_wazcache.adoption.changes import Change
from hatch_wazcache.adoption.ignore_file import change_ignore_file
from hatch_wazcache.adoption.load_calls import read_code
from hatch_wazcache.adoption.options_table import engines_without_profile, new_options
from hatch_wazcache.adoption.project_files import HOOK, ProjectFiles
from hatch_wazcache.adoption.pyproject_edits import Edits, has_tomlkit
from hatch_wazcache.adoption.requirement import missing_requirement, oldest_wasmtime
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.committed_loader import is_current, is_generated, without_loader
from hatch_wazcache.packing.find_assets import find_assets
from hatch_wazcache.project.packages import Packages
from hatch_wazcache.resources import is_loader, loader_text
from hatch_wazcache.wheels.manifest import manifest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_wazcache.adoption.load_calls import LoadCall, SourceCode
    from hatch_wazcache.project.config import Config
    from hatch_wazcache.project.packages import Package

__all__ = ["InitPlan", "Suggestion", "plan_init", "plan_update"]

_REQUIREMENTS = {"hatchling": "hatch-wazcache", "setuptools": "hatch-wazcache[setuptools]"}
"""What `build-system.requires` needs; other backends run nothing of ours."""

_TEXT = "the loader"


class Suggestion(NamedTuple):
    """A line of the package that loads a `.wasm` itself, and the lines to put there."""

    call: LoadCall
    import_line: str
    replacement: str


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


class _Assets(NamedTuple):
    """The assets of a project: those that are there, and the packages of all of them."""

    files: list[Path]
    packages: list[Package]


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
    code = read_code(root, (path for path in sources if not is_loader(path)))
    by_hand: list[str] = []
    if project.has_options:
        tables, config = f"[{HOOK}]\n" if project.lacks_hook else "", project.config()
    else:
        tables, config = new_options(project, code, by_hand)
    by_hand += engines_without_profile(code.engines, config)
    assets = _find(project, config, by_hand)
    loaders = {
        package.source / package.loader: package for package in assets.packages if package.loader
    }
    edits = _edits(project, tables, assets, by_hand)
    suggestions = tuple(_suggestions(project, assets, code))
    if not has_tomlkit() and any(one.needs_tomlkit for one in edits):
        missing = [line for one in edits for line in one.by_hand()]
        return InitPlan(
            root, project.kind, (), (*missing, *by_hand), suggestions, lacks_tomlkit=True
        )
    changes = [
        *_loader_changes(root, loaders, by_hand),
        *change_ignore_file(root, loaders, _generated(project, loaders)),
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
    loaders = [
        Path(path)
        for path in project.layout.files
        if path.endswith(".py") and is_loader(Path(path))
    ]
    committed = [path for path in loaders if not is_generated(path, manifest_name(path.name), root)]
    if not committed:
        raise WazcacheError(
            f"{root}: no package has a committed loader; `hatch-wazcache init` writes one"
        )
    old = [path for path in committed if not is_current(path)]
    changes = [Change(_real(path), path.read_bytes(), loader_text(), _TEXT) for path in old]
    return InitPlan(root, project.kind, tuple(changes), loaders=tuple(committed))


def _find(project: ProjectFiles, config: Config, by_hand: list[str]) -> _Assets:
    """Find the assets of the options, and their packages; also where there is no file yet."""
    packages = Packages(config, project.layout)
    found: dict[Package, None] = {}
    files: list[Path] = []
    for pattern in config.assets:
        try:
            declared = list(find_assets(config._replace(assets=(pattern,)), project.root))
        except WazcacheError as error:
            if "matches no file" not in str(error):
                raise
            found[project.package_of_pattern(config, pattern.glob)] = None
            by_hand.append(
                f'no file matches "{pattern.glob}" yet: generate the .wasm before each build, or '
                "check it out"
            )
            continue
        for one in declared:
            path = project.layout.files.get(str(one.path))
            path = path or project.layout.distribution_path(one.relative)
            found[packages.of(path, one.relative)] = None
            files.append(one.path)
    return _Assets(files, list(found))


def _edits(project: ProjectFiles, tables: str, assets: _Assets, by_hand: list[str]) -> list[Edits]:
    """Return what the TOML files lack."""
    system, requirement = "", _REQUIREMENTS.get(project.kind, "")
    if requirement and "build-system" not in project.pyproject:
        system = f'[build-system]\nrequires = ["setuptools", "{requirement}"]\n\n'
    if system or _has_requirement(project.pyproject):
        requirement = ""
    missing = missing_requirement(project.root, project.pyproject, oldest_wasmtime(assets.files))
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
    system = pyproject.get("build-system", {})
    requires = system.get("requires") if isinstance(system, dict) else None
    if system == {}:
        return False
    try:
        names = [canonicalize_name(Requirement(line).name) for line in requires]  # type: ignore[union-attr]
    except (InvalidRequirement, TypeError) as error:
        raise WazcacheError(
            f"build-system.requires in pyproject.toml: must be a list of requirements: {error}"
        ) from error
    return "hatch-wazcache" in names


def _edit(path: Path, edits: Edits) -> Change:
    before = path.read_bytes() if path.is_file() else None
    return Change(_real(path), before, edits.apply(before or b""))


def _loader_changes(
    root: Path, loaders: Mapping[Path, Package], by_hand: list[str]
) -> Iterator[Change]:
    for path, package in loaders.items():
        real = _real(path)
        if not real.is_relative_to(os.path.realpath(root)):
            raise WazcacheError(
                f"{path.parent.relative_to(root)}: leads out of the project's root, to "
                f"{real.parent}; move the package into the project"
            )
        if not path.exists():
            yield Change(real, None, loader_text(), _TEXT)
            continue
        if is_generated(path, package.manifest, root):
            manifest = path.with_name(package.manifest)
            before = manifest.read_bytes()
            what = "the loader is no file of the editable install any more"
            yield Change(_real(manifest), before, without_loader(before, path.name), what)
        if not is_current(path):
            by_hand.append(
                f"{path.relative_to(root).as_posix()}: is not the loader of this release; "
                "`hatch-wazcache init --update` renews it"
            )


def _generated(project: ProjectFiles, loaders: Mapping[Path, Package]) -> list[str]:
    """Return the patterns for `.gitignore`: the files that editable installs write.

    No pattern ignores a `.cwasm` that the project has itself: hatchling would leave it out.
    """
    if project.kind == "other":
        return []
    manifests = sorted({package.manifest for package in loaders.values()})
    own = any(
        path.suffix == ".cwasm" and not _is_listed(path, package)
        for package in loaders.values()
        for path in package.source.rglob("*.cwasm")
    )
    return manifests if own else ["*.cwasm", *manifests]


def _is_listed(path: Path, package: Package) -> bool:
    from hatch_wazcache.packing.editable_files import listed, real_path

    manifest = package.source / package.manifest
    return real_path(path) in listed(manifest, package.source)


def _suggestions(project: ProjectFiles, assets: _Assets, code: SourceCode) -> Iterator[Suggestion]:
    packages = [package for package in assets.packages if package.loader]
    for call in code.calls if packages else ():
        path = project.layout.files.get(str(project.root / call.relative), "")
        package = _nearest(packages, path)
        names = [one.name for one in assets.files if one.is_relative_to(package.source)]
        name = None
        if len(names) == 1:
            (file,) = (one for one in assets.files if one.is_relative_to(package.source))
            name = file.relative_to(package.source).as_posix()
        module = package.distribution.replace("/", ".")
        stem = PurePosixPath(package.loader or "").stem
        yield Suggestion(
            call, f"from {module}.{stem} import {call.function}", call.replacement(name)
        )


def _nearest(packages: Iterable[Package], path: str) -> Package:
    """Return the package that shares most folders with a file of the wheel."""
    folders = PurePosixPath(path).parents

    def shared(package: Package) -> int:
        own = [PurePosixPath(package.distribution), *PurePosixPath(package.distribution).parents]
        return len({*folders} & {*own})

    return max(packages, key=shared)


def _real(path: Path) -> Path:
    """Return the file that a path leads to."""
    return Path(os.path.realpath(path))
