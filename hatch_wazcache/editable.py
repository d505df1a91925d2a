"""What an editable install writes into the source tree: writes it, finds it again, removes it.

The manifest that lies there names it all, and is written first, so that whatever a killed
installation leaves behind can be found.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hatch_wazcache import tempfiles
from hatch_wazcache.manifest import manifest_for_editable, read_manifest
from hatch_wazcache.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hatch_wazcache.cache.entry import Entry
    from hatch_wazcache.plan import Artifact, Plan

__all__ = ["leftovers", "remove", "write"]


def write(
    plan: Plan,
    project: str,
    loader: bytes,
    copy: Callable[[Artifact, Callable[[Entry], None]], None],
    entries: Mapping[str, Entry],
) -> None:
    """Write artifacts, manifests and loaders beside the sources, each file at once or not at all.

    Args:
        plan: the build's plan.
        project: the project's name.
        loader: the loader's text.
        copy: calls its second argument with the artifact's entry, again if that was broken.
        entries: by their keys.

    Raises:
        OSError: the source tree cannot be written.
    """

    def digest(artifact: Artifact) -> tuple[str, int]:
        entry = entries[artifact.key.digest]
        return entry.sha256, entry.size

    for package in plan.packages:
        artifacts = [a for a in plan.artifacts if a.asset.package == package]
        wrote = [artifact.name for artifact in artifacts]
        before = list(_wrote(package.source / package.manifest))
        if package.loader:
            path = package.source / package.loader
            if path in before or not path.exists():  # else it is the project's own copy
                wrote.append(package.loader)
        wrote.append(package.manifest)
        kept = {package.source / name for name in wrote}
        for path in before:
            if path not in kept:
                path.unlink(missing_ok=True)
        text = manifest_for_editable(plan, package, digest, project, wrote)
        _replace(package.source / package.manifest, [text])
        for artifact in artifacts:
            path = package.source / artifact.name
            path.parent.mkdir(parents=True, exist_ok=True)
            copy(artifact, lambda entry, path=path: _replace(path, entry.data()))  # type: ignore[misc]
        if package.loader:
            _replace(package.source / package.loader, [loader])


def leftovers(root: Path, assets: Iterable[str], manifest: str) -> Iterator[Path]:
    """Find what an editable install wrote for these assets; none of it may get into a wheel.

    Args:
        root: the project's root.
        assets: their paths relative to it.
        manifest: the name of the manifests.
    """
    folders: dict[Path, None] = {}
    for asset in assets:
        path = root / asset
        with suppress(OSError):
            for other in path.parent.glob("*.cwasm"):
                stem, _, rest = other.name.removesuffix(".cwasm").partition(
                    path.name.removesuffix(".wasm") + "."
                )
                if not stem and rest.split(".")[0] in TARGETS:
                    yield other
        folders.update(dict.fromkeys(p for p in path.parents if p.is_relative_to(root)))
    for folder in folders:
        yield from _wrote(folder / manifest)


def remove(root: Path, project: str, manifest: str) -> None:
    """Remove exactly what editable installs of this project wrote; assets may be gone by now."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if manifest in files:
            path = Path(folder, manifest)
            about = read_manifest(path).get("editable")
            if isinstance(about, dict) and about.get("project") == project:
                for written in _wrote(path):
                    written.unlink(missing_ok=True)


def _wrote(manifest: Path) -> Iterator[Path]:
    """Yield the files that a manifest says were written, itself last; none outside its folder."""
    about = read_manifest(manifest).get("editable")
    names = about.get("wrote") if isinstance(about, dict) else None
    for name in names if isinstance(names, list) else ():
        if not isinstance(name, str):
            continue
        path = PurePosixPath(name)
        inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
        loader = len(path.parts) == 1 and path.with_suffix(".json").name == manifest.name
        if inside and (path.suffix == ".cwasm" or (loader and path.suffix == ".py")):
            yield manifest.parent / path
    if isinstance(names, list):
        yield manifest


def _replace(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file at once: a running program that has the old one open keeps it."""
    temporary, file = tempfiles.create(path.parent)
    try:
        with file:
            for chunk in chunks:
                file.write(chunk)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
