"""Finds the members of a wheel that hold code for one platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.wheels.wheel_reader import BrokenWheelError

if TYPE_CHECKING:
    from collections.abc import Collection

    from hatch_wazcache.wheels.wheel_reader import WheelReader

__all__ = ["native_files"]

_HEADS = (
    b"\x7fELF",
    b"MZ",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"!<ar",
)
"""The first bytes of ELF, PE and Mach-O files and of static libraries."""


def native_files(wheel: WheelReader, without: Collection[str]) -> tuple[str, ...]:
    """Return the members with native code. One that cannot be read is not among them.

    Args:
        wheel: an untrusted wheel.
        without: members that do not count.
    """
    return tuple(name for name in wheel.names if name not in without and _is_native(wheel, name))


def _is_native(wheel: WheelReader, name: str) -> bool:
    try:
        with wheel.open(name) as file:
            return file.read(4).startswith(_HEADS)
    except BrokenWheelError:
        return False
