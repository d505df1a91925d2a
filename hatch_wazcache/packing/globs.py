"""The globs of the option `assets`, compared with paths that are in no file system.

They mean the same as for `find_assets`, which searches a source tree.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["SOURCES", "matching"]

SOURCES = "src"
"""The folder of a source tree that is not in the wheel. So the globs of a hook also fit a wheel."""


def matching(names: Collection[str], glob: str) -> list[str]:
    """Return the members of a wheel that a glob matches.

    It may also match the file of a source tree that a member was. As in a shell, `*` matches no
    hidden name.

    Args:
        names: the members.
        glob: one of the option `assets`.
    """
    globs = [PurePosixPath(glob)]
    if globs[0].is_relative_to(SOURCES):
        globs.append(globs[0].relative_to(SOURCES))
    exact = [str(one) for one in globs if str(one) in names]
    return exact or [name for name in names if any(_fits(name, one.parts) for one in globs)]


def _fits(name: str, patterns: Sequence[str]) -> bool:
    parts = name.split("/")
    hidden = any(part.startswith(".") for part in parts)
    if hidden and not any(pattern.startswith(".") for pattern in patterns):
        return False
    return _fit(parts, patterns)


def _fit(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Say whether the patterns match the parts of a path; `**` matches any number of folders.

    The states are the numbers of patterns that the parts so far may have used up.
    """
    last = len(patterns)
    states = _with_empty({0}, patterns)
    for part in parts:
        fitting = {
            state
            for state in states
            if state < last and (patterns[state] == "**" or fnmatchcase(part, patterns[state]))
        }
        after = {state if patterns[state] == "**" else state + 1 for state in fitting}
        states = _with_empty(after, patterns)
    return last in states or (last - 1 in states and patterns[-1] == "**")


def _with_empty(states: set[int], patterns: Sequence[str]) -> set[int]:
    """Add the states that follow because `**` also matches no folder at all."""
    found = set(states)
    for number, pattern in enumerate(patterns[:-1]):
        if number in found and pattern == "**":
            found.add(number + 1)
    return found
