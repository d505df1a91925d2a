"""Reads the options `assets` and `profiles`: the `.wasm` files, and the settings of engines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import PROFILE_NAME, SETTINGS, Profile
from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.project.config import AssetPattern
from hatch_wazcache.project.fields import is_inside, nearest, read_names
from hatch_wazcache.project.target_fields import CPUS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_wazcache.project.fields import Field

__all__ = ["RESERVED_NAMES", "default_profiles", "read_assets", "read_profiles"]

RESERVED_NAMES = (*TARGETS, *CPUS, "all")
"""Names that no profile may have: an artifact's file name holds target, CPU and profile."""

_NOT_SETTINGS = {
    "cache": "to turn on wasmtime's own cache, call the loader's engine(profile, cache=True)",
    "target": "name the systems to compile for in the option targets",
}
"""Attributes of wasmtime's `Config` that are not settings of a profile, and what to use instead."""


def read_assets(field: Field) -> tuple[AssetPattern, ...]:
    """Read globs, and tables of a glob with names of profiles."""
    items = field.one_or_more()
    if items is None and field.value in (None, []) and isinstance(field.table.get("loader"), str):
        return ()
    if items is None:
        allowed = (
            'a list of globs such as ["src/package/*.wasm"], or of tables '
            '{path = "…", profiles = ["…"]}'
        )
        if field.value is None:
            field.problems.missing(field.where, allowed)
        else:
            field.wrong(allowed)
        return ()
    return tuple(pattern for item in items if (pattern := _read_asset(item)) is not None)


def default_profiles(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the profiles in a table of options; without one, it is `default`."""
    if "runtime" in table:  # it has the profiles
        return ()
    tables = table.get("profiles")
    return tuple(tables) if isinstance(tables, dict) and tables else ("default",)


def _read_asset(field: Field) -> AssetPattern | None:
    profiles = default_profiles(field.table)
    if isinstance(field.value, str):
        return _read_glob(field, profiles)
    if not isinstance(field.value, dict):
        field.wrong("a glob, or a table with path and profiles")
        return None
    for name in field.value:
        if name not in ("path", "profiles"):
            field.unknown(name, ("path", "profiles"))
    if "profiles" in field.value and "runtime" in field.table:
        names = field.member("profiles").one_or_more() or []
        profiles = tuple(str(name.value) for name in names)
        if not profiles:
            field.member("profiles").wrong("a list with some of the runtime's profiles")
    elif "profiles" in field.value:
        known = tuple(dict.fromkeys((*profiles, "default")))
        profiles = tuple(read_names(field.member("profiles"), known))
    return _read_glob(field.member("path"), profiles)


def _read_glob(field: Field, profiles: tuple[str, ...]) -> AssetPattern | None:
    allowed = "a glob relative to the project's root and inside of it"
    if field.value is None:
        field.problems.missing(field.where, allowed)
    elif not isinstance(field.value, str) or not is_inside(field.value):
        field.wrong(allowed)
    else:
        return AssetPattern(field.value.replace("\\", "/"), profiles)
    return None


def read_profiles(field: Field) -> dict[str, Profile]:
    """Read tables of engine settings by their names; `default` is empty if it has no table."""
    if not isinstance(field.value, dict) or not field.value:
        field.wrong("tables of engine settings, [….profiles.NAME]")
        return {}
    given = {name: _read_profile(field.member(name), name) for name in field.value}
    return {"default": Profile("default"), **given}


def _read_profile(field: Field, name: str) -> Profile:
    if not re.fullmatch(PROFILE_NAME, name) or name in RESERVED_NAMES:
        field.wrong("named with a-z, 0-9, - and _, and not like a target or a cpu")
    elif not isinstance(field.value, dict):
        field.wrong("a table of engine settings")
    else:
        for setting in field.value:
            _check_setting(field, setting)
        return Profile(name, dict(field.value))
    return Profile(name)


def _check_setting(profile: Field, name: str) -> None:
    if setting := SETTINGS.get(name):
        field = profile.member(name)
        if not setting.accepts(field.value):
            field.wrong(setting.allowed())
        return
    kebab = name.replace("_", "-")
    hint = _NOT_SETTINGS.get(name) or (f"did you mean {kebab}?" if kebab in SETTINGS else "")
    hint = hint or nearest(name, SETTINGS)
    profile.unknown(
        name,
        SETTINGS,
        hint or "the names are those of wasmtime-py's Config attributes, with hyphens",
    )
