"""The options: their meanings, their defaults, and the messages for wrong values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS, native_target
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.config import Config
from hatch_wazcache.project.options import read_config
from tests.support.options import TABLE

ROOT = Path("/project").absolute()
NATIVE = native_target().name
FOREIGN = "aarch64-macos" if NATIVE != "aarch64-macos" else "aarch64-windows"


def read(environment: dict[str, str] | None = None, /, **options: object) -> Config:
    """Read options, with `_` for `-` in their names."""
    table = {"assets": ["demo/*.wasm"]}
    table |= {name.replace("_", "-"): value for name, value in options.items()}
    return read_config(table, TABLE, environment or {}, ROOT)


def problems(environment: dict[str, str] | None = None, /, **options: object) -> list[str]:
    with pytest.raises(WazcacheError) as caught:
        read(environment, **options)
    lines = str(caught.value).splitlines()
    assert all(line.startswith((f"{TABLE}.", "WAZCACHE_")) for line in lines)
    return [line.removeprefix(f"{TABLE}.") for line in lines]


def test_only_assets_has_no_default():
    config = read()
    assert [(pattern.glob, pattern.profiles) for pattern in config.assets] == [
        ("demo/*.wasm", ("default",))
    ]
    assert [target.name for target in config.targets] == [NATIVE, "any"]
    assert (config.target.name, config.other_targets) == (NATIVE, ("any",))
    assert {name: dict(p.settings) for name, p in config.profiles.items()} == {"default": {}}
    assert (config.cpu, config.keep_wasm, config.strict) == (("baseline",), True, False)
    assert config.compiler is None
    assert (config.loader, config.cache_dir, config.engine) == ("", None, None)
    assert config.timeout == 1800
    assert config.strip == ()
    assert (config.engines, config.companion, config.fallback) == ((), None, "cache")
    with pytest.raises(
        WazcacheError, match=r"wazcache\.assets is missing: must be a list of globs"
    ):
        read_config({}, TABLE, {}, ROOT)


def test_every_option_is_taken():
    config = read(
        assets=["a/**/*.wasm", {"path": "b\\c.wasm", "profiles": ["fuel"]}],
        targets=[FOREIGN, "native"],
        profiles={"plain": {}, "fuel": {"consume-fuel": True, "memory-guard-size": 65536}},
        cpu=["x86-64-v3", "baseline"],
        compiler="tools/wasmtime",
        loader="a/_wasm.py",
        keep_wasm=False,
        cache_dir="../cache",
        timeout=2.5,
        engine="wasmtime>=48,<49",
        strict=True,
        strip=["debug", "name"],
        fallback="error",
    )
    assert [(pattern.glob, pattern.profiles) for pattern in config.assets] == [
        ("a/**/*.wasm", ("plain", "fuel")),
        ("b/c.wasm", ("fuel",)),
    ]
    assert [target.name for target in config.targets] == [FOREIGN, NATIVE]
    assert config.profiles["fuel"].settings == {"consume-fuel": True, "memory-guard-size": 65536}
    assert (config.loader, config.keep_wasm, config.strict) == ("a/_wasm.py", False, True)
    assert (config.cache_dir, config.timeout) == (ROOT.parent / "cache", 2.5)
    assert (config.cpu, config.compiler) == (("x86-64-v3", "baseline"), ROOT / "tools/wasmtime")
    assert config.engine == "wasmtime>=48,<49"
    assert config.strip == ("name", "debug")
    assert (config.engines, config.companion, config.fallback) == ((), None, "error")


def test_a_wheel_is_built_for_this_machine_if_it_is_among_the_targets():
    assert read(targets=[FOREIGN, "native"]).target.name == NATIVE
    assert read(targets=[FOREIGN, NATIVE]).target.name == NATIVE
    assert read(targets=[FOREIGN]).target.name == FOREIGN
    assert read(targets=[FOREIGN, "any"]).target.name == "any"


def test_names_that_stand_for_the_same_target_give_one_wheel():
    """The list is right on every machine, whichever it is native on."""
    names = ["native", NATIVE, "any", "all"]
    assert [target.name for target in read(targets=names).targets] == [
        NATIVE,
        "any",
        *(name for name in SYSTEMS if name != NATIVE),
    ]


def test_an_item_of_engines_is_a_major_version_or_a_requirement_for_one():
    config = read(
        engines=["47", "wasmtime>=48,<49", "Wasmtime==50.0.1", "wasmtime~=49.0", "wasmtime==36.*"],
        companion="Demo.wasmtime_1",
    )
    majors = ["wasmtime>=47,<48", "wasmtime<49,>=48", "wasmtime==50.0.1", "wasmtime~=49.0"]
    assert config.engines == (*majors, "wasmtime==36.*")
    assert config.companion == "Demo.wasmtime_1"


def test_the_variable_for_the_engine_replaces_engines_too():
    config = read({"WAZCACHE_ENGINE": "wasmtime==49.*"}, engines=["47", "48"])
    assert (config.engine, config.engines) == ("wasmtime==49.*", ())


def test_engine_and_engines_contradict_each_other():
    (problem,) = problems(engine="wasmtime>=48,<49", engines=["47", "48"])
    assert problem == (
        f'engine = "wasmtime>=48,<49": must be left out beside {TABLE}.engines, which replaces it'
    )


def test_a_companion_needs_the_wasm_and_the_loader_in_the_package():
    wasm, loader = problems(companion="demo-wasmtime", keep_wasm=False, loader=False)
    assert wasm.startswith(f"keep-wasm = false: must be true with {TABLE}.companion")
    assert loader.startswith(f"loader = false: must be a path, or left out, with {TABLE}.companion")


@pytest.mark.parametrize("option", ["targets", "assets", "cpu", "strip", "profiles of an asset"])
def test_a_name_may_stand_for_a_list_of_one(option):
    values = {"targets": FOREIGN, "assets": "a.wasm", "cpu": "x86-64-v2", "strip": "name"}
    if option in values:
        alone, listed = values[option], [values[option]]
    else:
        option, alone = "assets", [{"path": "a.wasm", "profiles": "default"}]
        listed = [{"path": "a.wasm", "profiles": ["default"]}]
    options = {"targets": "x86_64-linux", option: alone}
    assert read(**options) == read(**{**options, option: listed})


@pytest.mark.parametrize(
    ("option", "wrong", "near"),
    [
        ("targets", "x86_64-linus", "x86_64-linux"),
        ("targets", "arm64-macos", "aarch64-macos"),
        ("targets", "win_amd64", "x86_64-windows"),
        ("targets", "linux-x86_64", "x86_64-linux"),
        ("targets", "manylinux2014_aarch64", "aarch64-linux"),
        ("targets", "aarch64-apple-darwin", "aarch64-macos"),
        ("targets", "x86_64-unknown-linux-musl", "x86_64-linux"),
        ("cpu", "x86_64-v3", "x86-64-v3"),
        ("assets", [{"path": "a", "profiles": "defualt"}], "default"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(option, wrong, near):
    (problem,) = problems(**{option: wrong})
    assert problem.endswith(f"; did you mean {near}?")


def test_without_targets_other_systems_get_a_wheel_too_unless_it_would_be_empty():
    assert read().other_targets == ("any",)
    assert read(keep_wasm=False).other_targets == ()
    assert read(targets="native").other_targets == ()
    assert read({"WAZCACHE_TARGET": NATIVE}).other_targets == ()


def test_a_machine_without_wasmtime_builds_the_wheel_for_any_system(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    for options in ({}, {"targets": "native"}, {"targets": ["native", "any"]}):
        assert [target.name for target in read(**options).targets] == ["any"]
    assert read({"WAZCACHE_TARGET": "native"}).target.name == "any"


def test_all_is_wherever_wasmtime_can_be_installed_and_any():
    names = [target.name for target in read(targets="all").targets]
    assert names == [target.name for target in read(targets=["all"]).targets]
    assert names == [*SYSTEMS, "any"]


def test_the_environment_is_stronger_than_the_options():
    environment = {
        "WAZCACHE_DIR": "elsewhere",
        "WAZCACHE_TARGET": FOREIGN,
        "WAZCACHE_STRICT": "1",
        "WAZCACHE_TIMEOUT": "0.5",
        "WAZCACHE_WASMTIME": "/opt/wasmtime",
    }
    options = {"cache_dir": "here", "targets": ["native"], "strict": False, "timeout": 9}
    config = read(environment, compiler="tools", **options)
    assert config.compiler == Path("/opt/wasmtime")
    assert (config.cache_dir, config.target.name) == (ROOT / "elsewhere", FOREIGN)
    assert (config.strict, config.timeout) == (True, 0.5)
    assert read({"WAZCACHE_STRICT": "0"}, strict=True).strict is False
    assert read({"WAZCACHE_TARGET": "native"}, targets=[FOREIGN]).target.name == NATIVE


def test_an_empty_variable_is_as_none():
    names = ("DIR", "TARGET", "STRICT", "TIMEOUT", "WASMTIME")
    options = {"cache_dir": "here", "targets": [FOREIGN], "strict": True, "timeout": 9}
    options["compiler"] = "tools"
    assert read({f"WAZCACHE_{name}": "" for name in names}, **options) == read(**options)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("WAZCACHE_TARGET", "amd64-linux", "one of native, x86_64-linux,"),
        ("WAZCACHE_STRICT", "maybe", "1 or true, 0 or false"),
        ("WAZCACHE_TIMEOUT", "soon", "a number of seconds greater than 0"),
        ("WAZCACHE_TIMEOUT", "0", "a number of seconds greater than 0"),
        ("WAZCACHE_TIMEOUT", "-1", "a number of seconds greater than 0"),
        ("WAZCACHE_TIMEOUT", "nan", "a number of seconds greater than 0"),
        ("WAZCACHE_TIMEOUT", "inf", "a number of seconds greater than 0"),
        ("WAZCACHE_DIR", "~no such user/cache", "a path; there is no such user"),
        ("WAZCACHE_DIR", ".", "a folder that does not contain the project"),
        ("WAZCACHE_DIR", "/", "a folder that does not contain the project"),
    ],
)
def test_a_wrong_variable_is_named_with_what_is_allowed(name, value, allowed):
    (problem,) = problems({name: value})
    assert problem.startswith(f'{name} = "{value}": must be {allowed}')


ENGINES = 'must be a major version such as "48", or a requirement such as "wasmtime>=48,<49"'

WRONG = [
    ("assets", "/demo/*.wasm", 'assets = "/demo/*.wasm": must be a glob relative to the project'),
    ("assets", [], "assets = []: must be a list of globs"),
    ("assets", {}, "assets = {}: must be a list of globs"),
    ("assets", [3], "assets[0] = 3: must be a glob, or a table"),
    ("assets", ["a", ""], 'assets[1] = "": must be a glob relative to the project'),
    ("assets", ["/etc/a.wasm"], 'assets[0] = "/etc/a.wasm": must be a glob relative to'),
    ("assets", ["C:\\a.wasm"], 'assets[0] = "C:\\\\a.wasm": must be a glob relative to'),
    ("assets", ["a/../../b.wasm"], 'assets[0] = "a/../../b.wasm": must be a glob relative to'),
    ("assets", ["~/a.wasm"], 'assets[0] = "~/a.wasm": must be a glob relative to'),
    ("assets", ["a\0"], 'assets[0] = "a\\u0000": must be a glob relative to'),
    ("assets", [{}], "assets[0].path is missing: must be a glob relative to"),
    ("assets", [{"path": 1}], "assets[0].path = 1: must be a glob relative to"),
    (
        "assets",
        [{"path": "a", "profile": []}],
        "assets[0].profile: there is no such option; did you mean profiles?",
    ),
    (
        "assets",
        [{"path": "a", "profiles": "fuel"}],
        'assets[0].profiles = "fuel": must be one of "default"',
    ),
    (
        "assets",
        [{"path": "a", "profiles": [["default"]]}],
        'assets[0].profiles[0] = ["default"]: must be one of "default"',
    ),
    (
        "assets",
        [{"path": "a", "profiles": []}],
        "assets[0].profiles = []: must be a list with some of",
    ),
    ("targets", {}, 'targets = {}: must be a list with some of "native", "all", "x86_64-linux"'),
    ("targets", [], "targets = []: must be a list with some of"),
    ("targets", [3], 'targets[0] = 3: must be one of "native", "all", "x86_64-linux"'),
    (
        "targets",
        ["native", "linux"],
        'targets[1] = "linux": must be one of "native", "all", "x86_64-linux"',
    ),
    ("targets", [NATIVE, "any", NATIVE], f'targets: "{NATIVE}" is listed twice'),
    ("targets", ["all", "all"], 'targets: "all" is listed twice'),
    ("profiles", [], "profiles = []: must be tables of engine settings"),
    ("profiles", {}, "profiles = {}: must be tables of engine settings"),
    ("profiles", {"a": 1}, "profiles.a = 1: must be a table of engine settings"),
    ("profiles", {"A": {}}, "profiles.A = {}: must be named with a-z, 0-9, - and _"),
    ("profiles", {"a/b": {}}, 'profiles."a/b" = {}: must be named with a-z, 0-9, - and _'),
    ("profiles", {"": {}}, 'profiles."" = {}: must be named with a-z, 0-9, - and _'),
    ("profiles", {"x86_64-linux": {}}, "profiles.x86_64-linux = {}: must be named with"),
    ("profiles", {"native": {}}, "profiles.native = {}: must be named with"),
    (
        "cpu",
        "haswell",
        'cpu = "haswell": must be one of "baseline", "x86-64-v2", "x86-64-v3", "x86-64-v4"',
    ),
    ("cpu", [], 'cpu = []: must be a list with some of "baseline"'),
    ("cpu", ["baseline", 3], 'cpu[1] = 3: must be one of "baseline"'),
    ("cpu", ["baseline", "x86-64-v3"], 'cpu = ["baseline", "x86-64-v3"]: must be in another order'),
    (
        "cpu",
        ["x86-64-v2", "native", "x86-64-v3"],
        'cpu = ["x86-64-v2", "native", "x86-64-v3"]: must be in another order',
    ),
    ("cpu", ["baseline", "native"], 'cpu = ["baseline", "native"]: must be in another order'),
    ("cpu", ["baseline", "baseline"], 'cpu: "baseline" is listed twice'),
    ("compiler", 3, "compiler = 3: must be a path"),
    ("loader", True, 'loader = true: must be a path such as "src/package/_wazcache.py", or false'),
    ("loader", 3, "loader = 3: must be a path such as"),
    ("loader", "a/loader.txt", 'loader = "a/loader.txt": must be a path such as'),
    ("loader", "a/two words.py", 'loader = "a/two words.py": must be a path such as'),
    ("loader", "../a.py", 'loader = "../a.py": must be a path such as'),
    ("loader", "/a.py", 'loader = "/a.py": must be a path such as'),
    ("keep_wasm", "no", 'keep-wasm = "no": must be true or false'),
    ("keep_wasm", 1, "keep-wasm = 1: must be true or false"),
    ("cache_dir", 3, "cache-dir = 3: must be a path"),
    ("cache_dir", "", 'cache-dir = "": must be a path'),
    ("cache_dir", "~no such user", 'cache-dir = "~no such user": must be a path; there is no such'),
    ("cache_dir", ".", 'cache-dir = ".": must be a folder that does not contain the proj'),
    ("cache_dir", "a/../..", 'cache-dir = "a/../..": must be a folder that does not contain'),
    ("max_size", 5, 'max-size = 5: must be a size with its unit such as "5 GiB", or 0, or false'),
    ("max_size", 5.5, "max-size = 5.5: must be a size with its unit"),
    ("max_size", "5", 'max-size = "5": must be a size with its unit'),
    ("max_size", "-5 GB", 'max-size = "-5 GB": must be a size with its unit'),
    ("max_size", True, "max-size = true: must be a size with its unit"),
    ("timeout", "1800", 'timeout = "1800": must be a number of seconds greater than 0'),
    ("timeout", True, "timeout = true: must be a number of seconds greater than 0"),
    ("timeout", 0, "timeout = 0: must be a number of seconds greater than 0"),
    ("timeout", -1.5, "timeout = -1.5: must be a number of seconds greater than 0"),
    ("timeout", math.nan, "timeout = nan: must be a number of seconds greater than 0"),
    ("timeout", math.inf, "timeout = inf: must be a number of seconds greater than 0"),
    ("engine", 48, 'engine = 48: must be a requirement such as "wasmtime>=48,<49"'),
    ("engine", ">=48", 'engine = ">=48": must be a requirement such as "wasmtime>=48,<49"'),
    ("engine", "wasmer>=3", 'engine = "wasmer>=3": must be a requirement such as "wasmtime'),
    ("engines", [], 'engines = []: must be a list such as ["48", "50"]'),
    ("engines", 48, 'engines = 48: must be a list such as ["48", "50"]'),
    ("engines", {}, "engines = {}: must be a list such as"),
    ("engines", [48], 'engines[0] = 48: must be a major version such as "48", or a requirement'),
    ("engines", ["48", "v50"], 'engines[1] = "v50": must be a major version such as "48"'),
    ("engines", ["048"], 'engines[0] = "048": must be a major version such as "48"'),
    ("engines", ["48.0"], 'engines[0] = "48.0": must be a major version such as "48"'),
    ("engines", ["wasmer>=3"], 'engines[0] = "wasmer>=3": must be a major version such as'),
    (
        "engines",
        ["wasmtime @ https://a.test/w.whl"],
        f'engines[0] = "wasmtime @ https://a.test/w.whl": {ENGINES}, without an address, a marker',
    ),
    (
        "engines",
        ["wasmtime==48.*; python_version > '3'"],
        f"engines[0] = \"wasmtime==48.*; python_version > '3'\": {ENGINES}, without",
    ),
    (
        "engines",
        ["wasmtime[x]==48.*"],
        f'engines[0] = "wasmtime[x]==48.*": {ENGINES}, without an address, a marker',
    ),
    (
        "engines",
        ["wasmtime"],
        f'engines[0] = "wasmtime": {ENGINES}: each item is for exactly one major',
    ),
    (
        "engines",
        ["wasmtime>=48"],
        f'engines[0] = "wasmtime>=48": {ENGINES}: each item is for exactly one major',
    ),
    (
        "engines",
        ["wasmtime<37"],
        f'engines[0] = "wasmtime<37": {ENGINES}: each item is for exactly one major',
    ),
    (
        "engines",
        ["48", "wasmtime>=47,<49"],
        f'engines[1] = "wasmtime>=47,<49": {ENGINES}: each item is for exactly one major',
    ),
    (
        "engines",
        ["wasmtime>=48,<48"],
        f'engines[0] = "wasmtime>=48,<48": {ENGINES}: each item is for exactly one major',
    ),
    (
        "engines",
        ["wasmtime!=48.0.1"],
        f'engines[0] = "wasmtime!=48.0.1": {ENGINES}: each item is for exactly one major',
    ),
    ("engines", ["50", "35"], 'engines[1] = "35": must be 36 or later, the versions that'),
    ("engines", ["wasmtime~=35.0"], 'engines[0] = "wasmtime~=35.0": must be 36 or later, the'),
    ("engines", ["48", "48"], "engines: wasmtime 48 is listed twice"),
    ("engines", ["48", "50", "wasmtime==48.0.2"], "engines: wasmtime 48 is listed twice"),
    ("companion", 3, 'companion = 3: must be the name of a distribution such as "gofmt-wasmtime"'),
    ("companion", "", 'companion = "": must be the name of a distribution such as'),
    ("companion", "gofmt wasmtime", 'companion = "gofmt wasmtime": must be the name of a'),
    ("companion", "gofmt-", 'companion = "gofmt-": must be the name of a distribution such as'),
    ("companion", "gofmt==1", 'companion = "gofmt==1": must be the name of a distribution'),
    ("companion", ["a"], 'companion = ["a"]: must be the name of a distribution such as'),
    ("fallback", "kept", 'fallback = "kept": must be one of "cache", "compile", "error"'),
    ("fallback", "errors", 'fallback = "errors": must be one of "cache", "compile", "error"; did'),
    ("fallback", True, 'fallback = true: must be one of "cache", "compile", "error"'),
    ("fallback", ["cache"], 'fallback = ["cache"]: must be one of "cache", "compile"'),
    ("strict", "yes", 'strict = "yes": must be true or false'),
    ("strip", "names", 'strip = "names": must be one of "name", "debug"; did you mean name?'),
    ("strip", True, "strip = true: must be a list with some of"),
    ("strip", [True], 'strip[0] = true: must be one of "name", "debug"'),
    ("strip", [["name"]], 'strip[0] = ["name"]: must be one of'),
    ("strip", ["name", "names"], 'strip[1] = "names": must be one of'),
    ("strip", ["name", "name"], 'strip: "name" is listed twice'),
]


@pytest.mark.parametrize(("option", "value", "message"), WRONG)
def test_a_wrong_value_is_named_with_what_is_allowed(option, value, message):
    (problem,) = problems(**{option: value})
    assert problem.startswith(message)


def test_the_profile_default_exists_beside_other_tables():
    """But only assets that name it are compiled for it."""
    config = read(assets=["a", {"path": "b", "profiles": ["default"]}], profiles={"fuel": {}})
    assert [pattern.profiles for pattern in config.assets] == [("fuel",), ("default",)]
    assert config.profiles["default"].settings == {}
    given = read(profiles={"default": {"wasm-gc": True}})
    assert given.profiles["default"].settings == {"wasm-gc": True}


def test_debug_information_is_not_made_out_of_what_is_stripped():
    profiles = {"plain": {}, "a": {"debug-info": True}, "b": {"debug-info": True}}
    told = problems(profiles=profiles, strip=["name", "debug"])
    assert told == [
        f'strip = ["name", "debug"]: must not contain "debug" with {TABLE}.profiles.{name}'
        ".debug-info = true, which needs those sections"
        for name in ("a", "b")
    ]
    assert read(profiles=profiles, strip=["name"]).strip == ("name",)
    assert read(profiles={"a": {"debug-info": False}}, strip=["debug"]).strip == ("debug",)


def test_what_is_wrong_is_told_at_once():
    options = {
        "assets": ["/x", {"path": "../y", "profiles": ["z"]}],
        "targets": ["here"],
        "profiles": {"a": {"consume-fule": True, "memory-guard-size": "1"}, "b": {"wasm_gc": 1}},
        "cpu": 3,
        "loader": 3,
        "keep_wasm": 3,
        "cache_dir": 3,
        "timeout": "3",
        "engine": 3,
        "strict": 3,
        "strip": 3,
        "asset": 3,
    }
    environment = {"WAZCACHE_STRICT": "x", "WAZCACHE_TIMEOUT": "x", "WAZCACHE_DIR": "~no one"}
    told = {line.split(" = ")[0].split(":")[0] for line in problems(environment, **options)}
    assert told == {
        "assets[0]", "assets[1].path", "assets[1].profiles[0]", "targets[0]",
        "profiles.a.consume-fule", "profiles.a.memory-guard-size", "profiles.b.wasm_gc",
        "cpu", "loader", "keep-wasm", "cache-dir", "timeout", "engine", "strict", "strip", "asset",
        "WAZCACHE_STRICT", "WAZCACHE_TIMEOUT", "WAZCACHE_DIR",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("option", "near"),
    [
        ("asset", "did you mean assets?"),
        ("keep_wasm", "did you mean keep-wasm?"),
        ("cachedir", "did you mean cache-dir?"),
        ("time-out", "did you mean timeout?"),
        (
            "zzz",
            "the options are assets, cache-dir, companion, compiler, cpu, engine, engines",
        ),
    ],
)
def test_an_unknown_option_is_told_with_the_nearest(option, near):
    with pytest.raises(WazcacheError) as caught:
        read_config({"assets": ["a"], option: 1}, TABLE, {}, ROOT)
    assert str(caught.value).startswith(f"{TABLE}.{option}: there is no such option; {near}")


def test_each_problem_is_one_line_whatever_the_names_and_values():
    with pytest.raises(WazcacheError) as caught:
        read_config({"assets": ["a"], "o\nne": 1, "cpu": "t\nwo"}, TABLE, {}, ROOT)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f'{TABLE}."o\\nne": there is no such option')
    assert second.startswith(f'{TABLE}.cpu = "t\\nwo": must be')


def test_a_long_value_is_told_in_short():
    (problem,) = problems(cpu="x" * 10_000)
    assert len(problem) < 250


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_takes_its_own_type_only(name):
    setting = SETTINGS[name]
    right = {bool: True, int: setting.minimum, str: "".join(setting.choices[:1])}[setting.type]
    assert read(profiles={"p": {name: right}}).profiles["p"].settings == {name: right}
    for wrong in (True, 1.5, -1, 1 << 47, "x", None, [right]):
        if wrong is not right:
            (problem,) = problems(profiles={"p": {name: wrong}})
            assert problem.startswith(f"profiles.p.{name} = ")
            assert problem.endswith(setting.allowed())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("consume_fuel", "did you mean consume-fuel?"),
        ("epoch-interuption", "did you mean epoch-interruption?"),
        ("target", "name the systems to compile for in the option targets"),
        ("cache", "to turn on wasmtime's own cache, call the loader's engine(profile, cache=True)"),
        ("fuel", "the names are those of wasmtime-py's Config attributes, with hyphens"),
    ],
)
def test_an_unknown_setting_is_told_with_the_nearest(name, hint):
    assert problems(profiles={"p": {name: True}}) == [
        f"profiles.p.{name}: there is no such option; {hint}"
    ]


@pytest.mark.parametrize("target", [name for name in SYSTEMS if not name.startswith("x86_64")])
def test_a_cpu_level_of_another_architecture_is_refused(target):
    (problem,) = problems(targets=[target], cpu="x86-64-v2")
    assert problem == (
        'cpu = "x86-64-v2": must be "baseline", or a list with it, '
        f"for the target {target}: the level exists on x86_64 only"
    )


def test_each_system_gets_the_cpu_levels_that_fit_it():
    config = read(targets="all", cpu=["x86-64-v3", "baseline"])
    for system in SYSTEMS.values():
        levels = ("x86-64-v3", "baseline") if system.arch == "x86_64" else ("baseline",)
        assert config.cpus_for(system) == levels


@pytest.mark.parametrize("targets", [["any"], "all", ["riscv64-linux"]])
def test_a_wheel_without_artifacts_keeps_its_wasm(targets):
    (problem,) = problems(targets=targets, keep_wasm=False)
    name = targets[0] if targets != "all" else "any"
    assert problem.startswith(f"keep-wasm = false: must be true for the target {name}")


def test_the_cpu_of_this_machine_is_for_this_machine_only():
    assert read(cpu="native").cpu == ("native",)
    (problem,) = problems(targets=[FOREIGN], cpu="native")
    assert problem.startswith('cpu = "native": must be "baseline", or a list with it, for ')
    assert problem.endswith(f'the target {FOREIGN}: "native" is for this machine only')


def test_the_longest_timeout_is_long():
    assert read(timeout=10**400).timeout > 10**8
    assert read({"WAZCACHE_TIMEOUT": "1e300"}).timeout > 10**8


@pytest.mark.parametrize(
    ("value", "size"),
    [("5 GiB", 5 << 30), ("500MB", 5 * 10**8), ("1.5k", 1500), ("7 B", 7), (0, 0), ("0", 0)],
)
def test_a_size_is_read_with_its_unit(value, size):
    assert read(max_size=value).max_size == size
    assert read(max_size=False).max_size is None


def test_a_cache_may_lie_in_the_project_or_at_home():
    assert read(cache_dir=".cache").cache_dir == ROOT / ".cache"
    assert read(cache_dir="~/waz").cache_dir == Path.home() / "waz"
