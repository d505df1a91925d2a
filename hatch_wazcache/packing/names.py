"""Refuses file names that a wheel, or the systems of its users, cannot hold."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Places = Iterable[tuple[str, str]]
    """Paths in the wheel, each with its owner: the path of a source file, or a description."""

__all__ = ["alike_names", "check_name", "collisions", "impossible_on_windows", "long_names"]

_LONGEST = 255
"""Bytes of a file's name, or of a folder's: the limit of nearly all file systems."""

_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE)
"""Names that mean a device on Windows, in every folder and with every ending:
https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file#naming-conventions"""

_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')


def check_name(distribution: str, relative: str) -> None:
    """Check the name of an asset.

    Args:
        distribution: its path in the wheel.
        relative: its path from the project's root.

    Raises:
        WazcacheError: installers would treat the name differently.
    """
    try:
        distribution.encode()
    except UnicodeEncodeError as error:
        raise WazcacheError(
            f"{relative}: its name is not UTF-8, which a wheel requires; rename it (or set "
            "PYTHONUTF8=1, if the name is UTF-8 and only this locale is not)"
        ) from error
    if not distribution.isprintable() or "\\" in distribution:
        wrong = {letter for letter in distribution if not letter.isprintable() or letter == "\\"}
        shown = ", ".join(sorted(map(ascii, wrong)))
        raise WazcacheError(
            f"{relative!r}: installers treat {shown} in a name differently; rename it"
        )


def long_names(places: Places, root: Path) -> Iterator[str]:
    """Yield a problem for each path in the wheel that file systems cannot hold.

    Args:
        places: paths in the wheel, with their owners.
        root: the project's root.
    """
    for distribution, owner in places:
        for part in distribution.split("/"):
            if (size := len(part.encode("utf-8", "surrogateescape"))) > _LONGEST:
                yield (
                    f"{_shown(owner, root)}: its name in the wheel would have {size} bytes, but "
                    f"file systems allow {_LONGEST}; shorten the name of the .wasm"
                )


def collisions(places: Places, owners: Mapping[str, str], root: Path) -> Iterator[str]:
    """Yield a problem for each path in the wheel that two files would have.

    Args:
        places: paths in the wheel, with their owners.
        owners: the owners of other paths in the wheel.
        root: the project's root.
    """
    owners = dict(owners)
    for distribution, owner in places:
        other = owners.setdefault(distribution, owner)
        if other == owner:
            continue  # as for nearly all files; to compare the paths takes longer
        one, another = _shown(owner, root), _shown(other, root)
        if one != another:
            yield f"{one} and {another} would both be {distribution} in the wheel; rename one"


def alike_names(places: Places, root: Path) -> Iterator[str]:
    """Yield a problem for each pair of files that Windows and macOS install as one file.

    Args:
        places: paths in the wheel, with their owners.
        root: the project's root.
    """
    owners: dict[str, tuple[str, str]] = {}
    for distribution, owner in places:
        folded = unicodedata.normalize("NFC", distribution.casefold())
        other_path, other = owners.setdefault(folded, (distribution, owner))
        if other_path != distribution:
            yield (
                f"{_shown(owner, root)} and {_shown(other, root)} would be one file on Windows and "
                f"macOS, where {distribution} and {other_path} are the same name; rename one"
            )


def impossible_on_windows(places: Places, root: Path) -> Iterator[str]:
    """Yield a problem for each path in the wheel that Windows cannot have as a file.

    Windows writes `nul.wasm` to nowhere, `a:b.wasm` into a hidden part of the file `a`, and drops
    dots and spaces at a name's end.

    Args:
        places: paths in the wheel, with their owners.
        root: the project's root.
    """
    for distribution, owner in places:
        for part in distribution.split("/"):
            reason = ""
            if found := _NOT_ON_WINDOWS.search(part):
                reason = f"no name may have {found[0]}"
            elif part.endswith((".", " ")):
                reason = "no name may end with a dot or a space"
            elif _DEVICE.fullmatch(part):
                reason = "that is the name of a device"
            if reason:
                yield (
                    f"{_shown(owner, root)}: Windows cannot have a file {distribution}: {reason}; "
                    "rename it, or leave Windows and any out of targets"
                )
                break


def _shown(owner: str, root: Path) -> str:
    """Shorten the path of a file in the project. Other owners are not paths."""
    path = Path(owner)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else owner
