"""Loaders that a project has committed: a wheel gets the loader of this release in their place.

No build changes such a file. `hatch-wazcache init --update` does.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from hatch_wazcache.packing.editable_files import listed, real_path
from hatch_wazcache.resources import is_loader, loader_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hatch_wazcache.project.packages import Package

__all__ = ["is_current", "is_generated", "old_loader", "old_loaders", "without_loader"]


def is_current(text: bytes) -> bool:
    """Say whether a text is the loader of this release; git may have changed its line ends."""
    return text.replace(b"\r\n", b"\n") == loader_text()


def is_generated(loader: Path, manifest: str, root: Path, project: str | None = None) -> bool:
    """Say whether an editable install wrote a loader, as the manifest beside it notes.

    Args:
        loader: the file.
        manifest: the manifest's file name.
        root: the project's root.
        project: the project's name; None for any.
    """
    return real_path(loader) in listed(loader.with_name(manifest), root, project)


def without_loader(manifest: bytes, loader: str) -> bytes:
    """Return the manifest of an editable install, which then does not count a loader as its own.

    Args:
        manifest: the content of the file.
        loader: the loader's file name.
    """
    content = json.loads(manifest)
    wrote = content["editable"]["wrote"]
    content["editable"]["wrote"] = [name for name in wrote if name != loader]
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    return f"{text}\n".encode()


def old_loaders(packages: Iterable[Package], root: Path) -> Iterator[str]:
    """Yield a line for each committed loader that is not the one of this release.

    Args:
        packages: the packages of a build.
        root: the project's root.
    """
    for package in packages:
        loader = package.source / package.loader if package.loader else None
        if loader is None or not is_loader(loader) or is_current(loader.read_bytes()):
            continue
        if not is_generated(loader, package.manifest, root):
            yield old_loader(os.path.relpath(loader, root))


def old_loader(name: str) -> str:
    """Return the line about an old loader.

    It is no warning: an sdist holds the loader, and is built with later releases too.
    """
    return (
        f"{name}: is not the loader of this release of hatch-wazcache; wheels get that one. To "
        "renew the file: `hatch-wazcache init --update`"
    )
