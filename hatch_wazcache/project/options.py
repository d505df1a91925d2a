"""The options: their names, defaults and checks, and every message about a wrong one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_wazcache.engine.settings import CPU_LEVELS, SETTINGS
from hatch_wazcache.engine.targets import TARGETS, System, Target, find_targets, native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.wasm import STRIP_ALLOWED, read_strip
from hatch_wazcache.util.sizes_and_times import parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEFAULT_MAX_SIZE",
    "DEFAULT_TIMEOUT",
    "AssetPattern",
    "Config",
    "Profile",
    "read_config",
]

DEFAULT_MAX_SIZE = "5 GiB"
"""What a cache is kept under."""

DEFAULT_TIMEOUT = 1800.0
"""Seconds that one compilation may take."""
_LONGEST_TIMEOUT = 1e9

_NO_NATIVE = "wasmtime-py has no wheels for this machine"

_PROFILE_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")

_ELSEWHERE = {
    "cache": "the loader's engine(profile, cache=True) turns wasmtime's own cache on",
    "target": "the option targets says what to compile for",
}
"""Attributes of wasmtime's `Config` that are no profile's, and what to use instead."""


class AssetPattern(NamedTuple):
    """One item of `assets`."""

    glob: str
    """Relative to the project's root, with forward slashes."""
    profiles: tuple[str, ...]


class Profile(NamedTuple):
    """A named set of engine settings."""

    name: str
    settings: Mapping[str, bool | int | str] = MappingProxyType({})


class Config(NamedTuple):
    """The options of one build, checked."""

    location: str
    """The TOML path of the table, for messages."""
    assets: tuple[AssetPattern, ...]
    targets: tuple[Target, ...]
    wanted: Target | None
    """The one that `WAZCACHE_TARGET` names."""
    profiles: Mapping[str, Profile]
    cpus: tuple[str, ...]
    """Levels, the best first."""
    compiler: Path | None
    """The `wasmtime` program, or a folder that holds some; absolute. None for what is on PATH."""
    loader: str | None
    """A path relative to the root; None for none; `""` for one in each package with assets."""
    keep_wasm: bool
    cache_dir: Path | None
    """Absolute; None for the user's cache directory."""
    max_size: int | None
    """Bytes that the cache is kept under; None for any."""
    timeout: float
    """Seconds."""
    engine: str | None
    """A requirement on wasmtime."""
    strict: bool
    strip: tuple[str, ...]
    """The sections that are left out before a `.wasm` is compiled, in the order of `wasm.STRIP`."""

    @property
    def target(self) -> Target:
        """The one to build for where only one wheel can be: if none is named, this machine's."""
        if self.wanted is not None:
            return self.wanted
        fits = [target for target in self.targets if native_system() in target.systems]
        return [*fits, *(t for t in self.targets if t.name == "any"), *self.targets][0]

    def misfits(self, target: Target) -> list[str]:
        """Say what of the options does not fit a target, one line each."""
        problems = []
        if not self.keep_wasm and not target.systems:
            problems.append(
                f"{self.location}.keep-wasm = false: must be true for the target {target.name}, "
                "whose wheel holds nothing else"
            )
        value = self.cpus[0] if len(self.cpus) == 1 else list(self.cpus)
        for system in target.systems if self.cpus else ():
            if not self.cpus_for(system):
                why = "it is not this machine" if "native" in self.cpus else "the level is x86_64's"
                problems.append(
                    f'{self.location}.cpu = {_toml(value)}: must be "baseline", or a list with it, '
                    f"for the target {system.name}: {why}"
                )
        return problems

    def cpus_for(self, system: System) -> tuple[str, ...]:
        """Return the CPU levels to compile for, the best first."""
        return tuple(cpu for cpu in self.cpus if _fits(cpu, system))


def read_config(
    table: Mapping[str, Any], location: str, environment: Mapping[str, str], root: Path
) -> Config:
    """Check the options and give each its default.

    Args:
        table: the options as they stand in the TOML file.
        location: the table's TOML path.
        environment: `WAZCACHE_DIR`, `WAZCACHE_TARGET`, `WAZCACHE_STRICT`, `WAZCACHE_TIMEOUT` and
            `WAZCACHE_WASMTIME` are stronger than the options.
        root: the project's root, which relative paths are relative to.

    Raises:
        WazcacheError: all that is wrong, one line each.
    """
    reader = _Reader(table, location)
    config = _read(reader, environment, root)
    if config is None or reader.problems:
        raise WazcacheError("\n".join(reader.problems))
    return config


class _Reader:
    """Takes options out of a table and collects what is wrong with them."""

    def __init__(self, table: Mapping[str, Any], location: str) -> None:
        self.table = table
        self.location = location
        self.problems: list[str] = []

    def wrong(self, option: str, value: object, allowed: str) -> None:
        self.problems.append(f"{self.location}.{option} = {_toml(value)}: must be {allowed}")

    def missing(self, option: str, allowed: str) -> None:
        self.problems.append(f"{self.location}.{option} is missing: must be {allowed}")

    def unknown(self, option: str, known: list[str], hint: str = "") -> None:
        hint = hint or _nearest(option, known) or f"known are {', '.join(sorted(known))}"
        self.problems.append(f"{self.location}.{option}: there is no such option; {hint}")

    def take(self, option: str, default: Any, check: Callable[[Any], bool], allowed: str) -> Any:
        value = self.table.get(option, default)
        if option in self.table and not check(value):
            self.wrong(option, value, allowed)
            return default
        return value


def _read(reader: _Reader, environment: Mapping[str, str], root: Path) -> Config | None:
    known = [
        "assets", "cache-dir", "compiler", "cpu", "engine", "keep-wasm", "loader", "max-size",
        "profiles", "strict", "strip", "targets", "timeout",
    ]  # fmt: skip
    for option in reader.table:
        if option not in known:
            reader.unknown(_key(option), known)
    profiles = _profiles(reader)
    assets = _assets(reader, tuple(profiles))
    targets = _targets(reader)
    wanted = _wanted(reader, environment)
    cpus = _cpus(reader)
    strip = _strip(reader, profiles)
    loader = _loader(reader)
    keep_wasm = reader.take("keep-wasm", True, _is_bool, "true or false")
    strict = reader.take("strict", False, _is_bool, "true or false")
    if text := environment.get("WAZCACHE_STRICT"):
        strict = _flag(reader, text)
    cache_dir = _cache_dir(reader, environment, root)
    compiler = _path(reader, "compiler", "WAZCACHE_WASMTIME", environment, root)
    max_size = reader.take(
        "max-size", DEFAULT_MAX_SIZE, _is_size, 'a size such as "5 GiB", or false'
    )
    timeout = _timeout(reader, environment)
    engine = reader.take("engine", None, _is_engine, 'a requirement such as "wasmtime>=48,<49"')
    if not targets:
        return None
    config = Config(
        location=reader.location,
        assets=assets,
        targets=targets,
        wanted=wanted,
        profiles=profiles,
        cpus=cpus,
        compiler=compiler,
        loader=loader,
        keep_wasm=keep_wasm,
        cache_dir=cache_dir,
        max_size=None if max_size is False else parse_size(max_size),
        timeout=timeout,
        engine=engine,
        strict=strict,
        strip=strip,
    )
    misfits = [line for target in (*targets, wanted) if target for line in config.misfits(target)]
    reader.problems += dict.fromkeys(misfits)
    return config


def _assets(reader: _Reader, profiles: tuple[str, ...]) -> tuple[AssetPattern, ...]:
    allowed = (
        'a list of globs such as ["src/package/*.wasm"], or of tables '
        '{path = "…", profiles = ["…"]}'
    )
    items = reader.table.get("assets")
    if items is None:
        reader.missing("assets", allowed)
        return ()
    if not isinstance(items, list) or not items:
        reader.wrong("assets", items, allowed)
        return ()
    patterns = []
    for number, item in enumerate(items):
        option = f"assets[{number}]"
        table = {"path": item} if isinstance(item, str) else item
        if not isinstance(table, dict):
            reader.wrong(option, item, "a glob, or a table with path and profiles")
            continue
        for name in table:
            if name not in ("path", "profiles"):
                reader.unknown(f"{option}.{_key(name)}", [f"{option}.path", f"{option}.profiles"])
        chosen = table.get("profiles", list(profiles))
        if not isinstance(chosen, list) or not chosen or not all(p in profiles for p in chosen):
            reader.wrong(f"{option}.profiles", chosen, f"a list out of {', '.join(profiles)}")
            chosen = []
        glob = table.get("path")
        where = option if isinstance(item, str) else f"{option}.path"
        inside = "a glob relative to the project's root and inside of it"
        if glob is None:
            reader.missing(where, inside)
        elif not isinstance(glob, str) or not _is_inside(glob):
            reader.wrong(where, glob, inside)
        else:
            patterns.append(AssetPattern(glob.replace("\\", "/"), tuple(dict.fromkeys(chosen))))
    return tuple(patterns)


def _targets(reader: _Reader) -> tuple[Target, ...]:
    given = reader.table.get("targets", ["native"])
    names = [given] if given == "all" else given
    if not isinstance(names, list) or not names:
        reader.wrong("targets", names, f'a list out of "native", "all", {", ".join(TARGETS)}')
        return ()
    targets: dict[str, Target] = {}
    for number, name in enumerate(names):
        option = f"targets[{number}]" if names is given else "targets"
        found = find_targets(name) if isinstance(name, str) else []
        if not found and name == "native":
            reader.wrong(option, name, f"one of {', '.join(TARGETS)}: {_NO_NATIVE}")
        elif not found:
            reader.wrong(option, name, f"one of native, all, {', '.join(TARGETS)}")
        for target in found:
            if target.name in targets:
                reader.wrong(option, name, f"there once: {target.name} is there already")
            targets[target.name] = target
    return tuple(targets.values())


def _wanted(reader: _Reader, environment: Mapping[str, str]) -> Target | None:
    """Read which target the environment names."""
    name = environment.get("WAZCACHE_TARGET")
    found = find_targets(name) if name and name != "all" else []
    if name and not found:
        reader.problems.append(
            f"WAZCACHE_TARGET = {_toml(name)}: must be one of native, {', '.join(TARGETS)}"
        )
    return found[0] if found else None


def _cpus(reader: _Reader) -> tuple[str, ...]:
    """Read the CPU levels; one that comes after a lesser one would never be loaded."""
    value = reader.table.get("cpu", "baseline")
    known = ("baseline", *CPU_LEVELS, "native")
    cpus = value if isinstance(value, list) else [value]
    if not cpus or not all(cpu in known for cpu in cpus) or len(set(cpus)) < len(cpus):
        names = ", ".join(f'"{cpu}"' for cpu in known)
        reader.wrong("cpu", value, f"one of {names}, or a list of some, the best first")
        return ()
    levels = [known.index(cpu) for cpu in cpus if cpu != "native"]
    if levels != sorted(levels, reverse=True) or "baseline" in cpus[:-1]:
        allowed = "in another order, the best first: the first that loads is taken"
        reader.wrong("cpu", value, allowed)
        return ()
    return tuple(cpus)


def _fits(cpu: str, system: System) -> bool:
    if cpu == "native":
        return system == native_system()
    return cpu == "baseline" or system.arch == "x86_64"


def _profiles(reader: _Reader) -> dict[str, Profile]:
    tables = reader.table.get("profiles", {"default": {}})
    if not isinstance(tables, dict) or not tables:
        reader.wrong("profiles", tables, "tables of engine settings, [….profiles.NAME]")
        return {"default": Profile("default")}
    profiles = {}
    reserved = {*TARGETS, *CPU_LEVELS, "native", "baseline", "all"}
    for name, table in tables.items():
        option = f"profiles.{_key(name)}"
        if not _PROFILE_NAME.fullmatch(name) or name in reserved:
            reader.wrong(option, table, "named with a-z, 0-9 and -, and not like a target or a cpu")
        elif not isinstance(table, dict):
            reader.wrong(option, table, "a table of engine settings")
        else:
            _check_settings(reader, option, table)
        profiles[name] = Profile(name, dict(table) if isinstance(table, dict) else {})
    return profiles


def _check_settings(reader: _Reader, option: str, table: Mapping[str, object]) -> None:
    for name, value in table.items():
        setting = SETTINGS.get(name)
        if setting is not None:
            if not setting.accepts(value):
                reader.wrong(f"{option}.{name}", value, setting.allowed())
            continue
        kebab = name.replace("_", "-")
        hint = _ELSEWHERE.get(name) or (f"did you mean {kebab}?" if kebab in SETTINGS else "")
        hint = (
            hint
            or _nearest(name, list(SETTINGS))
            or "the names are those of wasmtime-py's Config attributes, with hyphens"
        )
        reader.unknown(f"{option}.{_key(name)}", [], hint)


def _strip(reader: _Reader, profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    value = reader.table.get("strip", [])
    strip = read_strip(value)
    if strip is None:
        reader.wrong("strip", value, STRIP_ALLOWED)
        return ()
    for profile in profiles.values() if "debug" in strip else ():
        if profile.settings.get("debug-info") is True:
            setting = f"{reader.location}.profiles.{_key(profile.name)}.debug-info"
            reader.wrong(
                "strip",
                value,
                f'without "debug" for {setting} = true: debug information is made out of those '
                "sections",
            )
    return strip


def _nearest(name: str, known: list[str]) -> str:
    """Ask for the known name that is nearest to a wrong one, if there is one."""
    import difflib  # not for options that are right

    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else ""


def _loader(reader: _Reader) -> str | None:
    value = reader.table.get("loader", "")
    if value is False:
        return None
    if "loader" not in reader.table:
        return ""
    path = PurePosixPath(value.replace("\\", "/")) if isinstance(value, str) else None
    if path is None or not (
        _is_inside(str(value)) and path.suffix == ".py" and path.stem.isidentifier()
    ):
        reader.wrong("loader", value, 'a path such as "src/package/_wazcache.py", or false')
        return ""
    return str(path)


def _cache_dir(reader: _Reader, environment: Mapping[str, str], root: Path) -> Path | None:
    path = _path(reader, "cache-dir", "WAZCACHE_DIR", environment, root)
    if path is not None and root.is_relative_to(path):
        given = environment.get("WAZCACHE_DIR")
        where = "WAZCACHE_DIR" if given else f"{reader.location}.cache-dir"
        text = given or reader.table["cache-dir"]
        reader.problems.append(
            f"{where} = {_toml(text)}: must be a folder of its own, not one that holds the project"
        )
    return path


def _path(
    reader: _Reader, option: str, variable: str, environment: Mapping[str, str], root: Path
) -> Path | None:
    """Read a path, which a variable of the environment may give too."""
    given = environment.get(variable)
    text = reader.take(option, None, _is_text, "a path")
    text = given or text
    if text is None:
        return None
    try:
        return Path(os.path.abspath(root / Path(text).expanduser()))
    except RuntimeError:
        where = variable if given else f"{reader.location}.{option}"
        reader.problems.append(f"{where} = {_toml(text)}: must be a path; there is no such user")
        return None


def _timeout(reader: _Reader, environment: Mapping[str, str]) -> float:
    allowed = "a number of seconds greater than 0"
    option = reader.take("timeout", DEFAULT_TIMEOUT, _is_duration, allowed)
    text = environment.get("WAZCACHE_TIMEOUT")
    if text:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            reader.problems.append(f"WAZCACHE_TIMEOUT = {_toml(text)}: must be {allowed}")
            return DEFAULT_TIMEOUT
        return min(value, _LONGEST_TIMEOUT)
    return float(min(option, _LONGEST_TIMEOUT))


def _flag(reader: _Reader, text: str) -> bool:
    if text.lower() not in ("0", "1", "false", "true"):
        reader.problems.append(f"WAZCACHE_STRICT = {_toml(text)}: must be 1 or true, 0 or false")
    return text.lower() in ("1", "true")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_duration(value: object) -> bool:
    return type(value) in (int, float) and 0 < value < float("inf")  # type: ignore[operator]


def _is_size(value: object) -> bool:
    if value is False:
        return True
    try:
        return isinstance(value, str | int) and value is not True and parse_size(value) >= 0
    except ValueError:
        return False


def _is_engine(value: object) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return isinstance(value, str) and Requirement(value).name.lower() == "wasmtime"
    except InvalidRequirement:
        return False


def _is_inside(path: str) -> bool:
    """Say whether a relative path or glob stays inside the root, by its words alone."""
    parts = PurePosixPath(path.replace("\\", "/"))
    absolute = parts.is_absolute() or re.match(r"[A-Za-z]:", path) or path.startswith("~")
    return bool(path) and "\0" not in path and not absolute and ".." not in parts.parts


def _key(name: str) -> str:
    """Write a key as it would stand in TOML."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: object) -> str:
    """Write a value as it would stand in TOML, shortened; never more than one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(_toml(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
