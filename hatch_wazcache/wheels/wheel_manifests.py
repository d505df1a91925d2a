"""Finds and reads the manifests in a wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.wheels.manifest import (
    LOADER_MARK,
    check_manifest,
    manifest_name,
    may_be_manifest,
)
from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from hatch_wazcache.wheels.manifest import Manifest
    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["find_manifests", "read_manifest"]


def find_manifests(wheel: WheelReader) -> dict[str, str | None]:
    """Find the manifests by the loaders beside them, by their names, and by their fields.

    Returns:
        The path of each manifest with that of its loader, None if it has no loader. A manifest
        may be missing where its loader is.
    """
    found: dict[str, str | None] = {}
    for name in wheel.names:
        if name.endswith(".py") and _begins_with(wheel, name, LOADER_MARK.encode()):
            found[manifest_name(name)] = name
    for name in wheel.names:
        if name not in found and (
            name.rpartition("/")[2] == manifest_name(None)
            or (name.endswith(".json") and _may_be_manifest(wheel, name))
        ):
            found[name] = None
    return dict(sorted(found.items()))


def read_manifest(wheel: WheelReader, name: str) -> tuple[Manifest | None, list[str]]:
    """Read a manifest that `find_manifests` has found; returns the same as `check_manifest`."""
    if name not in wheel:
        return None, ["is missing: the loader beside it needs it"]
    try:
        text = wheel.text(name)
    except BrokenWheelError as error:
        return None, [str(error)]
    return check_manifest(text, name)


def _begins_with(wheel: WheelReader, name: str, head: bytes) -> bool:
    try:
        with wheel.open(name) as file:
            return file.read(len(head)) == head
    except BrokenWheelError:
        return False


def _may_be_manifest(wheel: WheelReader, name: str) -> bool:
    try:
        return may_be_manifest(wheel.text(name))
    except BrokenWheelError:
        return False
