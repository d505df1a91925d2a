"""The loaders of a project: new ones, and those to renew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.adoption.changes import Change
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.committed_loader import is_current, is_generated, without_loader
from hatch_wazcache.packing.editable_files import listed, real_path
from hatch_wazcache.resources import is_loader, loader_text
from hatch_wazcache.wheels.manifest import manifest_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_wazcache.adoption.project_files import ProjectFiles
    from hatch_wazcache.adoption.suggestions import Assets
    from hatch_wazcache.project.packages import Package

__all__ = ["generated_patterns", "new_loaders", "renewals"]

_TEXT = "the loader"


def new_loaders(
    root: Path, loaders: Mapping[Path, Package], by_hand: list[str]
) -> Iterator[Change]:
    """Yield the changes after which each package has a loader to commit.

    Args:
        root: the project's root.
        loaders: the places, with their packages.
        by_hand: gets a line for each loader of another release.

    Raises:
        WazcacheError: a place is outside of the project.
    """
    for path, package in loaders.items():
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(os.path.realpath(root)):
            raise WazcacheError(
                f"{os.path.relpath(path.parent, root)}: leads out of the project's root, to "
                f"{real.parent}; move the package into the project"
            )
        if not path.exists():
            yield Change(real, None, loader_text(), _TEXT)
            continue
        if is_generated(path, package.manifest, root):
            manifest = Path(os.path.realpath(path.with_name(package.manifest)))
            before = manifest.read_bytes()
            what = "the loader is no file of the editable install any more"
            yield Change(manifest, before, without_loader(before, path.name), what)
        if not is_current(path.read_bytes()):
            by_hand.append(
                f"{path.relative_to(root).as_posix()}: is not the loader of this release; "
                "`hatch-wazcache init --update` renews it"
            )


def renewals(project: ProjectFiles) -> tuple[list[Path], list[Change]]:
    """Return the committed loaders of a project, and the changes that renew the old ones.

    Raises:
        WazcacheError: there is none.
    """
    paths = [Path(path) for path in project.layout.files if path.endswith(".py")]
    committed = [
        path
        for path in paths
        if is_loader(path) and not is_generated(path, manifest_name(path.name), project.root)
    ]
    if not committed:
        raise WazcacheError(
            f"{project.root}: no package has a committed loader; `hatch-wazcache init` writes one"
        )
    changes = [
        Change(Path(os.path.realpath(path)), path.read_bytes(), loader_text(), _TEXT)
        for path in committed
        if not is_current(path.read_bytes())
    ]
    return committed, changes


def generated_patterns(project: ProjectFiles, assets: Assets) -> dict[str, list[Path]]:
    """Return the patterns for `.gitignore`, with paths that each of them is for.

    The paths are those of files that editable installs write. No pattern ignores a `.cwasm` that
    the project has itself: hatchling would leave it out.
    """
    if project.kind == "other":
        return {}
    patterns: dict[str, list[Path]] = {}
    for package in assets.packages:
        patterns.setdefault(package.manifest, []).append(package.source / package.manifest)
    has_own = any(
        real_path(path) not in listed(package.source / package.manifest, project.root)
        for package in assets.packages
        for path in package.source.rglob("*.cwasm")
    )
    places = {path.with_suffix(".any.cwasm") for path in assets.files}
    places = places or {package.source / "any.cwasm" for package in assets.packages}
    return patterns if has_own else {"*.cwasm": sorted(places), **patterns}
