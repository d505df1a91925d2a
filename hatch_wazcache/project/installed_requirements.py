"""Requirements on wasmtime, compared with the distributions that are installed."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement

__all__ = [
    "admit",
    "counts_here",
    "is_installed",
    "is_wasmtime",
    "names",
    "parse",
    "required_by",
    "valid",
]


def required_by(lines: Iterable[str]) -> tuple[list[tuple[str, Requirement]], list[str]]:
    """Find the requirements on wasmtime of installed distributions and of their dependencies.

    Returns:
        The name and the requirement of each that has one; and the names of the lines' distributions
        that are not installed.
    """
    from importlib.metadata import PackageNotFoundError, requires

    found: list[tuple[str, Requirement]] = []
    unknown: list[str] = []
    waiting = deque((parse(line), True) for line in lines)
    known: set[str] = set()
    while waiting:
        requirement, direct = waiting.popleft()
        key = f"{requirement.name}{sorted(requirement.extras)}"
        if key in known or not counts_here(requirement, {""}):
            continue
        known.add(key)
        try:
            own = valid(requires(requirement.name) or [])
        except PackageNotFoundError:
            unknown += [requirement.name] if direct else []
            continue
        active = [line for line in own if counts_here(line, {"", *requirement.extras})]
        found += [(requirement.name, line) for line in active if is_wasmtime(str(line))]
        waiting += [(line, False) for line in active if not is_wasmtime(str(line))]
    return found, unknown


def valid(lines: Iterable[str]) -> list[Requirement]:
    """Read the requirements of a distribution, without those that no installer accepts."""
    from packaging.requirements import InvalidRequirement

    found: list[Requirement] = []
    for line in lines:
        with suppress(InvalidRequirement):
            found.append(parse(line))
    return found


def counts_here(requirement: Requirement, extras: set[str]) -> bool:
    """Say whether a requirement counts on this machine with one of these extras; "" for none.

    Raises:
        WazcacheError: its marker compares what cannot be compared.
    """
    marker = requirement.marker
    try:
        return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
    except ValueError as error:
        raise WazcacheError(
            f"the requirement {requirement} cannot be evaluated ({error})"
        ) from error


def is_installed(lines: Iterable[str]) -> bool:
    """Say whether a wasmtime is installed that satisfies the lines which count on this machine."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("wasmtime")
    except (PackageNotFoundError, UnicodeDecodeError):  # or a damaged file
        return False
    requirements = list(map(parse, lines))
    return admit([one for one in requirements if counts_here(one, {""})], installed)


def admit(requirements: Iterable[Requirement], version: str) -> bool:
    """Say whether a version satisfies all requirements; their markers do not count."""
    return all(one.specifier.contains(version, prereleases=True) for one in requirements)


def parse(line: str) -> Requirement:
    """Read one requirement. Imports packaging only here, since not every build needs it."""
    from packaging.requirements import Requirement

    return Requirement(line)


def is_wasmtime(line: str) -> bool:
    """Say whether a line requires wasmtime."""
    return names(line, "wasmtime")


def names(line: str, distribution: str | None) -> bool:
    """Say whether a line requires a distribution; its name may be written in another way."""
    from packaging.utils import canonicalize_name

    if distribution is None:
        return False
    return canonicalize_name(parse(line).name) == canonicalize_name(distribution)
