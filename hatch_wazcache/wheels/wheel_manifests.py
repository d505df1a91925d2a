"""Finds and reads the manifests in a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.resources import LOADER_MARK
from hatch_wazcache.wheels.manifest import is_manifest_text, manifest_name, may_be_manifest
from hatch_wazcache.wheels.untrusted_manifest import check_manifest
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from hatch_wazcache.wheels.manifest import Manifest
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["ManifestFile", "read_manifests"]

# Bytes. Parsing JSON is slow. 5,000 assets with two artifacts each need 4 MB.
_LARGEST_TOGETHER = 8 << 20
_LARGEST_SEARCHED = 4 << 20


class ManifestFile(NamedTuple):
    """A manifest's file in a wheel. It may be missing."""

    path: str
    loader: str | None
    """The path of the loader beside it, if there is one."""
    manifest: Manifest | None
    """The manifest without the parts that are wrong; None if nothing of it can be used."""
    problems: list[str]
    """The problems of the manifest, one line each."""


def read_manifests(wheel: WheelReader) -> list[ManifestFile]:
    """Find and read all manifests, sorted by their paths."""
    files, together = [], 0
    for path, loader in sorted(_find(wheel).items()):
        together += wheel.size_of(path) if path in wheel else 0
        if together <= _LARGEST_TOGETHER:
            files.append(ManifestFile(path, loader, *_read(wheel, path)))
        else:
            problem = "is not read: the wheel's manifests are too large together"
            files.append(ManifestFile(path, loader, None, [problem]))
    return files


def _find(wheel: WheelReader) -> dict[str, str | None]:
    """Find manifests by the loaders beside them, by their names, and by their fields.

    Returns:
        The path of each manifest, with the path of its loader, or None if it has no loader. The
        file of a manifest may be missing, even if its loader exists.
    """
    found: dict[str, str | None] = {}
    for name in wheel.names:
        if name.endswith(".py") and _begins_with(wheel, name, LOADER_MARK):
            found[manifest_name(name)] = name
    searched = 0
    for name in wheel.names:
        if name in found or not name.endswith(".json"):
            continue
        if name.rpartition("/")[2] == manifest_name(None):
            found[name] = None
        elif may_be_manifest(text := _text(wheel, name)):
            searched += len(text)
            if searched <= _LARGEST_SEARCHED and is_manifest_text(text):
                found[name] = None
    return found


def _read(wheel: WheelReader, path: str) -> tuple[Manifest | None, list[str]]:
    if path not in wheel:
        return None, ["is missing: the loader beside it needs it"]
    try:
        text = wheel.text(path)
    except BrokenWheelError as error:
        return None, [str(error)]
    return check_manifest(text, path)


def _begins_with(wheel: WheelReader, name: str, head: bytes) -> bool:
    try:
        with wheel.open(name) as file:
            return file.read(len(head)) == head
    except BrokenWheelError:
        return False


def _text(wheel: WheelReader, name: str) -> bytes:
    try:
        return wheel.text(name)
    except BrokenWheelError:
        return b""
