"""The options: one model, from which the reader, the docs and the JSON schema are made.

This module describes the options, and checks whether they fit together. `fields.py` checks single
values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.statistics import DEFAULT_MAX_SIZE
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT
from hatch_wazcache.engine.settings import SETTINGS, Setting
from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.formats.strip import STRIP
from hatch_wazcache.project import fields
from hatch_wazcache.project.config import Config
from hatch_wazcache.project.fields import Field
from hatch_wazcache.util import environment
from hatch_wazcache.util.problems import Problems
from hatch_wazcache.util.toml_text import toml_key, toml_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["OPTIONS", "Option", "read_config"]


@dataclass(frozen=True)
class Option:
    """One option of the table."""

    name: str
    description: str
    """Markdown; links are relative to the folder of the docs."""
    read: Callable[[Field], Any]
    """Checks a value, reports its problems, and returns the value for `Config`."""
    schema: Mapping[str, Any]
    """The JSON schema of a value."""
    default: Any = None
    """As a user would write it. None: there is no such value."""
    default_text: str = ""
    """The default for the docs, if it is not a plain value."""
    unset: Any = None
    """The value for `Config` if there is neither a value nor a default."""
    required: bool = False
    variable: str = ""
    """The environment variable that is stronger than the option."""
    read_variable: Callable[[Field], Any] | None = None
    """Reads the variable, if `read` does not."""

    @property
    def plain_description(self) -> str:
        """Return the description as a sentence without links."""
        return _sentence(re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", self.description))


def _one_or_list(item: Mapping[str, Any], *, empty: bool = False) -> dict[str, Any]:
    """Describe a list that may be written as its only item."""
    items = {"type": "array", "items": item, "uniqueItems": True}
    return {"anyOf": [item, items if empty else {**items, "minItems": 1}]}


def _setting_schema(setting: Setting) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": _sentence(setting.description)}
    if setting.type is bool:
        return {**schema, "type": "boolean"}
    if setting.type is int:
        bounds = {"minimum": setting.minimum, "maximum": setting.maximum}
        return {**schema, "type": "integer", **bounds}
    return {**schema, "enum": list(setting.choices)}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


_TEXT = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}

_ASSET = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "properties": {
                "path": {"description": "A glob.", **_TEXT},
                "profiles": {"description": "Names of profiles.", **_one_or_list(_TEXT)},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}

_PROFILES = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {
        "pattern": f"^{fields.PROFILE_NAME}$",
        "not": {"enum": list(fields.RESERVED_NAMES)},
    },
    "additionalProperties": {
        "type": "object",
        "properties": {name: _setting_schema(setting) for name, setting in SETTINGS.items()},
        "additionalProperties": False,
    },
}

OPTIONS = (
    Option(
        "assets",
        "the `.wasm` files to compile: globs; an item may be a table "
        '`{path = "…", profiles = ["…"]}`',
        fields.read_assets,
        _one_or_list(_ASSET),
        required=True,
    ),
    Option(
        "targets",
        'the systems to make [wheels for](targets.md): `"native"`, `"all"`, `"any"`, '
        '`"universal2-macos"`, or names `<arch>-<os>` such as `"x86_64-linux"`',
        fields.read_targets,
        _one_or_list({"enum": ["native", "all", *TARGETS]}),
        default=["native", "any"],
    ),
    Option(
        "profiles",
        "tables of [engine settings](options.md#settings), `[….profiles.NAME]`; an asset is "
        "compiled for each of them, unless it names its `profiles`",
        fields.read_profiles,
        _PROFILES,
        default={"default": {}},
        default_text="one profile, `default`, without settings; it exists beside other tables, too",
    ),
    Option(
        "cpu",
        " or ".join((", ".join(f'`"{cpu}"`' for cpu in fields.CPUS[:-1]), f'`"{fields.CPUS[-1]}"`'))
        + "; or [a list](targets.md#several-artifacts-for-one-system), the best first: "
        "the loader uses the first that loads",
        fields.read_cpus,
        _one_or_list({"enum": list(fields.CPUS)}),
        default="baseline",
    ),
    Option(
        "strip",
        'sections to leave out before compiling, `"name"` or `"debug"` or both, which makes '
        "[artifacts smaller](targets.md#without-names); the `.wasm` in the wheel keeps them",
        fields.read_strip,
        _one_or_list({"enum": list(STRIP)}, empty=True),
        default=[],
    ),
    Option(
        "compiler",
        "the [wasmtime CLI](targets.md#the-second-compiler), which compiles for other systems; "
        "or a folder that holds it",
        fields.read_path,
        _TEXT,
        default_text="the one on `PATH`",
        variable=environment.COMPILER,
    ),
    Option(
        "loader",
        "the file to write the loader to, or `false` for no loader",
        fields.read_loader,
        {"anyOf": [{"const": False}, {"type": "string", "pattern": r"\.py$"}]},
        default_text="`_wazcache.py` in each package with assets",
        unset="",
    ),
    Option(
        "keep-wasm",
        "whether the wheel holds the `.wasm`, too",
        fields.read_bool,
        _FLAG,
        default=True,
    ),
    Option(
        "cache-dir",
        "the folder of [the cache](cache.md)",
        fields.read_cache_dir,
        _TEXT,
        default_text="`wazcache` in the user's cache folder",
        variable=environment.CACHE_DIR,
    ),
    Option(
        "max-size",
        "the largest size of the cache; a build removes the least recently used entries until the "
        "cache fits; `false` for no limit",
        fields.read_size,
        {"anyOf": [{"enum": [False, 0]}, {"type": "string", "pattern": "^ *[0-9]"}]},
        default=DEFAULT_MAX_SIZE,
    ),
    Option(
        "timeout",
        "the seconds that one compilation may need",
        fields.read_seconds,
        {"type": "number", "exclusiveMinimum": 0},
        default=DEFAULT_TIMEOUT,
        variable=environment.TIMEOUT,
        read_variable=fields.read_seconds_text,
    ),
    Option(
        "engine",
        "the requirement on wasmtime to compile for, if the dependencies do not contain it",
        fields.read_engine,
        {"type": "string", "pattern": "^[Ww][Aa][Ss][Mm][Tt][Ii][Mm][Ee]"},
        default_text="wasmtime's line in `dependencies`, or else the one that all "
        "`optional-dependencies` agree on",
        variable=environment.ENGINE,
    ),
    Option(
        "strict",
        "whether warnings about the project are errors; problems of the cache or the machine are "
        "always warnings",
        fields.read_bool,
        _FLAG,
        default=False,
        variable=environment.STRICT,
        read_variable=fields.read_flag_text,
    ),
)


def read_config(
    table: Mapping[str, Any], location: str, variables: Mapping[str, str], root: Path
) -> Config:
    """Check the options and give each its default.

    Args:
        table: the options from the TOML file.
        location: the table's TOML path.
        variables: the environment; its `WAZCACHE_…` variables are stronger than the options.
        root: the project's root, which relative paths are relative to.

    Raises:
        WazcacheError: all problems, one line each.
    """
    whole = Field(location, table, table, root, Problems(toml_value))
    names = [option.name for option in OPTIONS]
    for name in table:
        if name not in names:
            whole.unknown(name, names)
    values = {option.name: _read(option, whole, variables) for option in OPTIONS}
    wanted = environment.read_variable(environment.TARGET, variables)
    wanted_field = Field(environment.TARGET, wanted, table, root, whole.problems)
    target = fields.read_target_name(wanted_field) if wanted else None
    whole.problems.raise_all()
    by_field = {name.replace("-", "_"): value for name, value in values.items()}
    given = "targets" in table
    config = Config(location=location, wanted=target, targets_given=given, **by_field)
    if not given and not config.keep_wasm:  # a wheel for any system would be empty
        with_artifacts = tuple(target for target in config.targets if target.systems)
        config = config._replace(targets=with_artifacts or config.targets)
    for line in dict.fromkeys(_contradictions(config, table)):
        whole.problems.add(line)
    whole.problems.raise_all()
    return config


def _read(option: Option, whole: Field, variables: Mapping[str, str]) -> Any:
    """Read one option and its variable; both are checked, the variable wins."""
    field = whole.member(option.name, option.default)
    value = option.read(field) if field.value is not None or option.required else option.unset
    text = environment.read_variable(option.variable, variables)
    if text is None:
        return value
    read = option.read_variable or option.read
    return read(Field(option.variable, text, whole.table, whole.root, whole.problems))


def _contradictions(config: Config, table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the contradictions between options that are valid by themselves, one line each."""
    for target in (*config.targets, config.wanted):
        yield from config.misfits(target) if target else ()
    for profile in config.profiles.values() if "debug" in config.strip else ():
        if profile.settings.get("debug-info") is True:
            setting = f"{config.location}.profiles.{toml_key(profile.name)}.debug-info"
            yield (
                f'{config.location}.strip = {toml_value(table["strip"])}: must not contain "debug" '
                f"with {setting} = true, which needs those sections"
            )
