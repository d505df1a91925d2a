"""The loader, as it lies in a wheel that was built: what authors and users can count on."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest
from conftest import (
    PYPROJECT,
    TARGET,
    Project,
    environment_of,
    environment_with,
    find_python,
    run_python,
    unpack,
)
from wasmtime import wat2wasm

UNICODE = "data/ein größer.wasm"
ASSETS = ["answer.wasm", "c.wasm", "data/deep/b.wasm", UNICODE]
OPTIONS = """
assets = [
  "demo/answer.wasm",
  "demo/data/**/*.wasm",
  { path = "demo/c.wasm", profiles = ["default"] },
]
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.fuel]
consume-fuel = true
"""
ARTIFACT = f"answer.{TARGET}.cwasm"
REFUSE = {"WASMTIME_BACKTRACE_DETAILS": "1"}
"""With this in its environment, wasmtime refuses every artifact."""

PRELUDE = """
from demo import _wazcache
from demo._wazcache import *

def call(module, engine_=None, fuel=None):
    from wasmtime import Instance, Store
    store = Store(engine_ or engine())
    if fuel is not None:
        store.set_fuel(fuel)
    return Instance(store, module, []).exports(store)["answer"](store)

def warned(action):
    import warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(warning.message) for warning in caught]

def refused(action):
    try:
        action()
    except LoadError as error:
        return str(error)

def together(action):
    # Sixteen threads, let go at once, and switched as often as can be.
    import sys
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier
    sys.setswitchinterval(1e-6)
    barrier = Barrier(16)
    def run(_):
        barrier.wait()
        return action()
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(run, range(16)))

def in_fork(action):
    # The status of a forked child; 0 if it did what it was to do. A minute, and it is ended.
    import os, signal
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    signal.alarm(60)
    try:
        action()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with modules, a component, nested and odd names, and two profiles."""
    folder = tmp_path_factory.mktemp("loader")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", PYPROJECT)
    project.options(OPTIONS)
    project.write("demo/__init__.py")
    project.write("demo/py.typed")
    project.write(
        "demo/answer.wasm", wat2wasm('(module (func (export "answer") (result i32) i32.const 42))')
    )
    project.wasm("demo/data/deep/b.wasm", "source-map__mappings.wasm")
    project.wasm(f"demo/{UNICODE}", "chainsafe-as-sha256__optimized.wasm")
    project.wasm("demo/c.wasm", "arcjet__arcjet_analyze_js_req.component.wasm")
    built = project.build()
    assert built.wheel, built.output
    return built.wheel


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed; not to be changed."""
    return unpack(wheel, tmp_path_factory.mktemp("site"))


@pytest.fixture
def own_site(wheel: Path, tmp_path: Path) -> Path:
    """The wheel, installed for one test, which may change it."""
    return unpack(wheel, tmp_path / "site")


def run(code: str, path: Path, python: Path = Path(sys.executable), **env: str) -> list[str]:
    """Run code that uses the loader; return the lines that it prints."""
    ran = run_python(PRELUDE + dedent(code), path, python, **env)
    assert ran.status == 0, ran.output
    return ran.output.splitlines()


def change_manifest(site: Path, change: Callable[[dict], None]) -> None:
    path = site / "demo/_wazcache.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


# What loads


def test_a_module_loads_precompiled_and_runs(site: Path):
    assert run("print(call(load_module('answer.wasm', strict=True)))", site) == ["42"]


def test_a_component_loads_precompiled(site: Path):
    code = "print(type(load_component('c.wasm', strict=True)).__name__)"
    assert run(code, site) == ["Component"]


def test_the_wrong_function_names_the_right_one(site: Path):
    code = """
        print(refused(lambda: load_module('c.wasm')))
        print(refused(lambda: load_component('answer.wasm')))
        """
    assert run(code, site) == [
        "c.wasm is a component: use load_component",
        "answer.wasm is a module: use load_module",
    ]


def test_assets_are_listed_by_name(site: Path):
    assert run("print(ascii(assets()))", site) == [ascii(ASSETS)]


def test_status_tells_which_artifact_loads(site: Path):
    code = "print(*status('data/deep/b.wasm', profile='fuel'), sep='\\n')"
    artifact = str(site / f"demo/data/deep/b.{TARGET}.fuel.cwasm")
    assert run(code, site) == ["data/deep/b.wasm", "fuel", "True", artifact, "None"]


def test_status_compiles_nothing_and_warns_of_nothing(own_site: Path):
    for path in (own_site / "demo").rglob("*.wasm"):
        path.unlink()
    code = "print(warned(lambda: print(*map(status, assets()), sep='\\n')))"
    *statuses, warnings = run(code, own_site, **REFUSE, PYTHONIOENCODING="utf-8")
    assert len(statuses) == len(ASSETS)
    assert all("precompiled=False" in status for status in statuses)
    assert warnings == "[]"


# Names


@pytest.mark.parametrize(
    "name",
    [
        "'data/deep/b.wasm'",
        "Path('data', 'deep', 'b.wasm')",
        "Path(demo.__file__).parent / 'data/deep/b.wasm'",
        "str(Path(demo.__file__).parent / 'data/deep/b.wasm')",
        "files('demo') / 'data/deep/b.wasm'",
        "files('demo').joinpath('data', 'deep', 'b.wasm')",
    ],
)
def test_an_asset_may_be_named_by(name: str, site: Path):
    code = f"""
        import demo
        from importlib.resources import files
        from pathlib import Path
        print(status({name}).name, bool(load_module({name}, strict=True)))
        """
    assert run(code, site) == ["data/deep/b.wasm True"]


def test_names_may_have_spaces_and_any_letters(site: Path):
    code = f"""
        from importlib.resources import files
        load_module({UNICODE!r}, strict=True)
        load_module(files('demo') / {UNICODE!r}, strict=True)
        """
    assert run(code, site) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "data",
        "nothing.wasm",
        "../demo/answer.wasm",
        "data/../answer.wasm",
        "/answer.wasm",
        "answer.wasm/",
        ARTIFACT,
        "_wazcache.json",
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known(name: str, site: Path):
    """Nor does a name lead out of the package."""
    (said,) = run(f"print(ascii(refused(lambda: load_module({name!r}))))", site)
    assert said == ascii(f"there is no asset {name}; there is {', '.join(ASSETS)}")


def test_an_unknown_profile_is_an_error_that_lists_the_known(site: Path):
    code = """
        import wasmtime
        print(refused(lambda: engine('fule')))
        print(refused(lambda: status('answer.wasm', profile='fule')))
        print(refused(lambda: load_module('answer.wasm', profile='fule')))
        print(refused(lambda: load_module('answer.wasm', wasmtime.Engine(), profile='fule')))
        """
    assert run(code, site) == ["there is no profile fule; there is default, fuel"] * 4


def test_a_profile_that_an_asset_was_not_compiled_for_is_said_so(site: Path):
    """It would take as long to load as if nothing were precompiled."""
    code = """
        print(refused(lambda: load_component('c.wasm', profile='fuel', strict=True)))
        print(status('c.wasm', profile='fuel').reason)
        """
    reason = "it was compiled for the profile default, not for fuel"
    assert run(code, site) == [f"c.wasm is not precompiled (strict): {reason}", reason]


# Engines and profiles


def test_the_engine_has_the_settings_of_the_profile(site: Path):
    code = """
        from wasmtime import Store, WasmtimeError
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        try:
            Store(engine()).set_fuel(1)
        except WasmtimeError as error:
            print(error)
        """
    assert run(code, site) == ["42", "fuel is not configured in this store"]


def test_there_is_one_engine_for_a_profile_however_it_is_asked_for(site: Path):
    code = """
        print(engine() is engine('default') is engine(profile='default') is engine(cache=False))
        print(engine() is engine('fuel'))
        """
    assert run(code, site) == ["True", "False"]


def test_there_is_one_engine_for_a_profile_also_under_threads(site: Path):
    assert run("print(len(set(together(engine))))", site) == ["1"]


def test_a_setting_that_the_installed_wasmtime_lacks_is_an_error(own_site: Path):
    def change(manifest: dict) -> None:
        manifest["profiles"]["fuel"]["wasm-teleportation"] = True

    change_manifest(own_site, change)
    assert run("print(refused(lambda: engine('fuel')))", own_site) == [
        "the installed wasmtime has no setting wasm_teleportation (profile fuel)"
    ]


def test_an_own_engine_with_the_settings_of_the_profile_loads_the_artifact(site: Path):
    code = """
        from wasmtime import Config, Engine
        own = Engine()
        print(call(load_module('answer.wasm', own, strict=True), own))
        config = Config()
        config.consume_fuel = True
        own = Engine(config)
        print(call(load_module('answer.wasm', own, profile='fuel', strict=True), own, 1000))
        """
    assert run(code, site) == ["42", "42"]


def test_an_own_engine_with_other_settings_gets_the_wasm_compiled_and_a_warning(site: Path):
    code = """
        from wasmtime import Config, Engine
        config = Config()
        config.epoch_interruption = True
        own = Engine(config)
        print(*warned(lambda: print(type(load_module('answer.wasm', own)).__name__)))
        print(refused(lambda: load_module('answer.wasm', own, strict=True)))
        print(status('answer.wasm', own).precompiled, status('answer.wasm').precompiled)
        """
    kind, warning, refusal, statuses = run(code, site)
    assert kind == "Module"
    assert "without epoch interruption but it is enabled for the host" in warning
    assert "without epoch interruption but it is enabled for the host" in refusal
    assert statuses == "False True"


# The way back: artifacts that are refused

FALL_BACK = """
print(*warned(lambda: print(call(load_module('answer.wasm')), call(load_module('answer.wasm')))))
print(status('answer.wasm').reason)
print(refused(lambda: load_module('answer.wasm', strict=True)))
"""


def check_fall_back(said: list[str], reason: str) -> None:
    """It works, there was one warning, and strict does not compile; each names the reason."""
    works, warning, status, strict = said
    assert works == "42 42"
    assert status.startswith(f"{ARTIFACT}: ")
    assert reason in status
    assert warning == f"answer.wasm is compiled now, which takes time: {status}"
    assert strict == f"answer.wasm is not precompiled (strict): {status}"


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "the file is missing"),
    "empty": (lambda path: path.write_bytes(b""), "it is damaged: it has 0 bytes, not "),
    "cut short by a byte": (
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "it is damaged: it has ",
    ),
    "cut in half": (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        "it is damaged: it has ",
    ),
    "another file": (
        lambda path: path.write_bytes(b"x" * path.stat().st_size),
        "Unsupported ELF header",
    ),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "it is not a file"),
    "a FIFO": (lambda path: (path.unlink(), os.mkfifo(path)), "it is not a file"),
    "a link to nowhere": (
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
        "the file is missing",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_artifact_is_a_reason_to_compile(damage: str, own_site: Path):
    do, reason = DAMAGES[damage]
    do(own_site / "demo" / ARTIFACT)
    check_fall_back(run(FALL_BACK, own_site), reason)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_an_unreadable_artifact_is_a_reason_to_compile(own_site: Path):
    (own_site / "demo" / ARTIFACT).chmod(0)
    check_fall_back(run(FALL_BACK, own_site), "Permission denied")


def test_an_artifact_of_another_kind_is_a_reason_to_compile(own_site: Path):
    artifact = own_site / f"demo/c.{TARGET}.cwasm"

    def change(manifest: dict) -> None:
        manifest["assets"]["answer.wasm"]["artifacts"][0]["size"] = artifact.stat().st_size

    change_manifest(own_site, change)
    shutil.copy(artifact, own_site / "demo" / ARTIFACT)
    check_fall_back(run(FALL_BACK, own_site), "incompatible object file format")


@pytest.mark.parametrize("other", ["36.0.0", "44.0.0", "50.0.1"])
def test_another_wasmtime_compiles_and_names_both_versions(other: str, site: Path):
    built_with = version("wasmtime")
    said = run(FALL_BACK, site, environment_with(other))
    check_fall_back(said, f"compiled for wasmtime {built_with}, installed is {other} (")


def test_a_wasmtime_without_components_is_said_so(site: Path):
    code = """
        print(status('c.wasm').reason)
        print(refused(lambda: load_component('c.wasm')))
        print(refused(lambda: load_component('answer.wasm')))
        """
    assert run(code, site, environment_with("36.0.0")) == [
        "components need wasmtime 39 or later",
        "components need wasmtime 39 or later",
        "answer.wasm is a module: use load_module",
    ]


def test_backtrace_details_in_the_environment_are_named_as_the_cause(site: Path):
    reason = "the environment variable WASMTIME_BACKTRACE_DETAILS is set"
    check_fall_back(run(FALL_BACK, site, **REFUSE), reason)


def test_the_warning_points_at_the_line_that_loads(site: Path, tmp_path: Path):
    (tmp_path / "user.py").write_text(
        "import demo._wazcache as w\n\nw.load_module('answer.wasm')\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import user"
    warning, line = run(code, site, **REFUSE)
    assert warning.startswith(f"{tmp_path / 'user.py'}:3: UserWarning: answer.wasm is compiled now")
    assert line.strip() == "w.load_module('answer.wasm')"


def test_each_asset_is_warned_of_once(site: Path):
    code = """
        def load():
            for _ in range(3):
                load_module('answer.wasm')
                load_module('answer.wasm', profile='fuel')
                load_module('data/deep/b.wasm')
        print(*(text.split()[0] for text in warned(load)))
        """
    assert run(code, site, **REFUSE) == ["answer.wasm answer.wasm data/deep/b.wasm"]


def test_a_wheel_with_none_for_this_system_is_silent(own_site: Path):
    def change(manifest: dict) -> None:
        for artifact in manifest["assets"]["answer.wasm"]["artifacts"]:
            artifact["target"] = "riscv64-plan9"

    change_manifest(own_site, change)
    reason = "the wheel has none for this system"
    assert run(FALL_BACK, own_site) == [
        "42 42",
        "",
        reason,
        f"answer.wasm is not precompiled (strict): {reason}",
    ]


def test_the_first_artifact_that_wasmtime_accepts_wins(own_site: Path):
    """Two CPU levels, two systems in one file: the loader only asks."""
    (own_site / "demo/refused.cwasm").write_bytes(b"for another CPU")

    def change(manifest: dict) -> None:
        artifacts = manifest["assets"]["answer.wasm"]["artifacts"]
        artifacts.insert(0, {**artifacts[0], "file": "refused.cwasm"})

    change_manifest(own_site, change)
    code = """
        print(warned(lambda: print(call(load_module('answer.wasm', strict=True)))))
        print(status('answer.wasm').artifact)
        """
    assert run(code, own_site) == ["42", "[]", str(own_site / "demo" / ARTIFACT)]


def test_without_the_wasm_in_the_wheel_a_refusal_is_an_error(project: Project, tmp_path: Path):
    project.options('assets = ["demo/*.wasm"]\nkeep-wasm = false')
    built = project.build()
    assert "demo/a.wasm" not in built.names
    site = unpack(built.wheel, tmp_path / "site")
    assert run("print(bool(load_module('a.wasm')))", site) == ["True"]
    said = run("print(refused(lambda: load_module('a.wasm')))", site, **REFUSE)
    assert said[0].startswith(
        f"a.wasm cannot be loaded, and there is no .wasm to compile: a.{TARGET}.cwasm: "
        "the environment variable WASMTIME_BACKTRACE_DETAILS is set"
    )


def test_where_wasm_and_artifact_are_gone_the_error_names_both(own_site: Path):
    wasm = own_site / "demo/answer.wasm"
    wasm.unlink()
    (own_site / "demo" / ARTIFACT).unlink()
    (said,) = run("print(refused(lambda: load_module('answer.wasm')))", own_site)
    assert str(wasm) in said
    assert f"{ARTIFACT}: the file is missing" in said


def test_a_wasm_that_wasmtime_refuses_is_its_error(own_site: Path):
    (own_site / "demo" / ARTIFACT).unlink()
    (own_site / "demo/answer.wasm").write_bytes(b"\0asm\1\0\0\0\xff")
    code = """
        from wasmtime import WasmtimeError
        try:
            load_module('answer.wasm')
        except WasmtimeError as error:
            print('refused')
        """
    assert run(code, own_site)[-1] == "refused"


# wasmtime's own cache


def home(folder: Path) -> dict[str, str]:
    """An environment whose user's folders are all in one."""
    return {
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TMPDIR": str(folder),
    }


@pytest.mark.parametrize("asked", [False, True])
def test_wasmtimes_own_cache_is_written_when_asked_for_and_never_unasked(
    asked: bool, site: Path, tmp_path: Path
):
    code = f"print(call(load_module('answer.wasm', engine(cache={asked})), engine(cache={asked})))"
    assert run(code, site, **REFUSE, **home(tmp_path))[-1] == "42"
    assert any(tmp_path.rglob("*")) is asked


def test_an_engine_with_the_cache_loads_artifacts_too(site: Path, tmp_path: Path):
    code = """
        print(call(load_module('answer.wasm', engine(cache=True), strict=True), engine(cache=True)))
        print(engine(cache=True) is engine('default', True))
        """
    assert run(code, site, **home(tmp_path)) == ["42", "True"]


@pytest.mark.parametrize("broken", ["a home that cannot be written", "a broken configuration"])
def test_a_cache_that_cannot_be_used_is_a_warning_and_no_cache(
    broken: str, site: Path, tmp_path: Path
):
    folder = Path(os.devnull) if "home" in broken else tmp_path
    if folder == tmp_path:
        (tmp_path / "config/wasmtime").mkdir(parents=True)
        (tmp_path / "config/wasmtime/config.toml").write_text("[cache")
    code = """
        print(len(warned(lambda: engine('fuel', cache=True))))
        print(*warned(lambda: engine(cache=True)))
        print(engine(cache=True) is engine())
        print(call(load_module('answer.wasm', engine(cache=True), strict=True)))
        """
    count, warning, same, answer = run(code, site, **home(folder))
    assert count == "1"
    assert warning.startswith("wasmtime's cache cannot be used: ")
    assert (same, answer) == ("True", "42")


def test_a_broken_configuration_of_wasmtime_matters_to_nobody_who_has_not_asked(
    site: Path, tmp_path: Path
):
    (tmp_path / "config/wasmtime").mkdir(parents=True)
    (tmp_path / "config/wasmtime/config.toml").write_text("[cache")
    code = "print(warned(lambda: load_module('answer.wasm', strict=True)))"
    assert run(code, site, **home(tmp_path)) == ["[]"]


# What loading costs


def test_loading_reads_no_wasm_and_hashes_nothing(own_site: Path):
    for path in (own_site / "demo").rglob("*.wasm"):
        path.unlink()
    code = """
        import os, sys, wasmtime, wasmtime.component
        opened = []
        sys.addaudithook(lambda event, about: event == 'open' and opened.append(str(about[0])))
        for asset in assets():
            (load_component if asset == 'c.wasm' else load_module)(asset, strict=True)
        opened = [path.rpartition('/')[2] for path in opened if '/demo/' in path]
        print(*(path for path in opened if not path.endswith(('.py', '.pyc'))))
        print('hashlib' in sys.modules or '_hashlib' in sys.modules, flush=True)
        os._exit(0)  # such a hook keeps all alive, so that wasmtime complains at a usual exit
        """
    assert run(code, own_site) == ["_wazcache.json", "False"]


def test_importing_the_loader_only_defines(own_site: Path):
    """No wasmtime, no json, nothing read: the manifest could as well be missing."""
    (own_site / "demo/_wazcache.json").unlink()
    code = """
        import __future__, demo, os, sys, typing, warnings
        before = set(sys.modules)
        opened = []
        sys.addaudithook(lambda event, about: event == 'open' and opened.append(str(about[0])))
        import demo._wazcache
        print(*sorted(set(sys.modules) - before))
        print(*(path for path in opened if not path.endswith('.py') and '.pyc' not in path))
        """
    ran = run_python(dedent(code), own_site)
    assert ran.output.splitlines() == ["demo._wazcache", ""]


# Where it works


@pytest.mark.parametrize("relative", [False, True])
def test_works_from_a_zip_and_extracts_nothing(relative: bool, wheel: Path, tmp_path: Path):
    code = f"""
        import os, sys
        os.chdir({str(wheel.parent)!r})
        sys.path.insert(0, {wheel.name if relative else str(wheel)!r})
        {PRELUDE.replace(chr(10), chr(10) + " " * 8)}
        import zipfile, demo
        from importlib.resources import files
        print(_wazcache.__file__)
        print(call(load_module('answer.wasm', strict=True)))
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        for asset in assets():
            load = load_component if asset == 'c.wasm' else load_module
            load(asset, strict=True)
            load(files('demo') / asset, strict=True)
            load(zipfile.Path({wheel.name!r}, 'demo/' + asset), strict=True)
        print(status('answer.wasm').artifact)
        """
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = run_python(dedent(code), empty, **home(empty))
    assert ran.output.splitlines() == [
        str(Path(wheel.name if relative else wheel, "demo/_wazcache.py")),
        "42",
        "42",
        str(wheel / "demo" / ARTIFACT),
    ]
    assert not any(empty.iterdir())


def test_compiles_out_of_a_zip_where_artifacts_are_refused(wheel: Path):
    check_fall_back(run(FALL_BACK, wheel, **REFUSE), "WASMTIME_BACKTRACE_DETAILS is set")


def test_works_from_sixteen_threads_at_once(site: Path):
    code = """
        print(set(together(lambda: call(load_module('answer.wasm', strict=True)))))
        print(len(together(lambda: load_component('c.wasm', strict=True))))
        """
    assert run(code, site) == ["{42}", "16"]


def test_warns_once_from_sixteen_threads_at_once(site: Path):
    code = """
        load = lambda: print(set(together(lambda: call(load_module('answer.wasm')))))
        print(len(warned(load)))
        """
    assert run(code, site, **REFUSE) == ["{42}", "1"]


@needs_fork
def test_works_in_a_forked_child_that_loads_first(site: Path):
    code = "print(in_fork(lambda: call(load_module('answer.wasm', strict=True)) == 42 or 1 / 0))"
    assert run(code, site) == ["0"]


@needs_fork
def test_works_in_a_forked_child_of_a_process_that_has_loaded(site: Path):
    code = """
        parent = load_module('answer.wasm', strict=True)
        def child():
            assert call(parent) == 42
            assert call(load_module('answer.wasm', strict=True)) == 42
            load_component('c.wasm', strict=True)
        print(in_fork(child), call(parent))
        """
    assert run(code, site) == ["0 42"]


@needs_fork
@pytest.mark.parametrize("own", ["None", "Engine()"])
def test_compiles_in_a_forked_child_of_a_process_that_has_compiled(own: str, site: Path):
    """A fork leaves wasmtime's threads behind, and to wait for them would never end."""
    code = f"""
        from wasmtime import Engine
        own = {own}
        load_module('data/deep/b.wasm', own)
        print(in_fork(lambda: call(load_module('answer.wasm', own), own) == 42 or 1 / 0))
        """
    assert run(code, site, **REFUSE)[-1] == "0"


def test_works_in_spawned_processes(site: Path):
    code = """
        from multiprocessing import get_context
        with get_context('spawn').Pool(2) as pool:
            print(*(status.precompiled for status in pool.map(status, assets())))
        """
    assert run(code, site) == [" ".join(["True"] * len(ASSETS))]


def test_works_without_assertions_and_docstrings(site: Path):
    code = "print(call(load_module('answer.wasm', strict=True)), status('answer.wasm').precompiled)"
    assert run(code, site, PYTHONOPTIMIZE="2") == ["42 True"]


def test_works_from_a_path_that_is_no_utf8(wheel: Path, tmp_path: Path):
    try:
        site = unpack(wheel, tmp_path / os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("this file system has UTF-8 paths only")
    code = """
        from importlib.resources import files
        for asset in assets():
            load = load_component if asset == 'c.wasm' else load_module
            load(asset, strict=True)
            load(files('demo') / asset, strict=True)
        print(status('answer.wasm').precompiled)
        """
    assert run(code, site) == ["True"]


def test_works_where_the_locale_is_c_and_names_are_not(wheel: Path, tmp_path: Path):
    site = unpack(wheel, tmp_path / "größer")
    code = f"""
        import sys
        from importlib.resources import files
        print(sys.getfilesystemencoding())
        print(load_module({UNICODE!a}, strict=True) is None)
        paths = (files('demo') / 'data').iterdir()
        (path,) = (path for path in paths if path.suffix == '.wasm')
        print(load_module(path, strict=True) is None)
        print(ascii(status(path).name) == ascii({UNICODE!a}))
        """
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(code, site, **locale) == ["ascii", "False", "False", "True"]
    (site / f"demo/{UNICODE}").with_suffix(f".{TARGET}.cwasm").unlink()
    compiled = run(f"print(load_module({UNICODE!a}) is None)", site, **locale)
    assert compiled[-1] == "False"


def test_works_on_a_file_system_mounted_noexec(site: Path, tmp_path: Path):
    """wasmtime cannot map the artifact's code from there, but load it from memory."""
    unshare = shutil.which("unshare")
    apart = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o noexec tmpfs "{tmp_path}"'
    if not unshare or subprocess.call([*apart, mount], stderr=subprocess.DEVNULL):
        pytest.skip("no file system can be mounted here: no user namespaces")
    code = f"""
        from wasmtime import Module, WasmtimeError
        print(call(load_module('answer.wasm', strict=True)), status('answer.wasm').precompiled)
        load_component('c.wasm', strict=True)
        try:
            Module.deserialize_file(engine(), {str(tmp_path / "demo" / ARTIFACT)!r})
        except WasmtimeError:
            print('mounted noexec indeed')
        """
    ran = subprocess.run(
        [*apart, f'{mount} && cp -R "{site}/demo" "{tmp_path}" && exec "$@"', "sh",
         sys.executable, "-c", PRELUDE + dedent(code)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["42 True", "mounted noexec indeed"]


def test_works_behind_a_symbolic_link_and_knows_paths_that_were_resolved(
    site: Path, tmp_path: Path
):
    (tmp_path / "site").symlink_to(site)
    code = """
        from pathlib import Path
        import demo
        folder = Path(demo.__file__).parent
        assert folder != folder.resolve()
        print(status(folder / 'answer.wasm').name, status(folder.resolve() / 'answer.wasm').name)
        print(status('answer.wasm').artifact)
        """
    artifact = tmp_path / "site/demo" / ARTIFACT
    assert run(code, tmp_path / "site") == ["answer.wasm answer.wasm", str(artifact)]


def test_works_where_every_file_is_a_symbolic_link(wheel: Path, tmp_path: Path):
    """As `uv pip install --link-mode symlink` leaves them."""
    store, site = unpack(wheel, tmp_path / "store"), tmp_path / "site"
    for path in store.rglob("*"):
        if path.is_file():
            link = site / path.relative_to(store)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    code = """
        from pathlib import Path
        folder = Path(_wazcache.__file__).resolve().parent
        print(call(load_module('answer.wasm', strict=True)), status(folder / 'answer.wasm').name)
        """
    assert run(code, site) == ["42 answer.wasm"]


def test_works_where_only_bytecode_is_shipped(own_site: Path):
    compileall.compile_dir(own_site / "demo", quiet=1, legacy=True)
    for source in (own_site / "demo").glob("*.py"):
        source.unlink()
    code = """
        print(call(load_module('answer.wasm', strict=True)), _wazcache.__file__[-4:])
        """
    assert run(code, own_site) == ["42 .pyc"]


def test_works_after_the_current_folder_has_changed(site: Path, tmp_path: Path):
    code = f"""
        import os, sys
        os.chdir({str(site)!r})
        sys.path.insert(0, '')
        {PRELUDE.replace(chr(10), chr(10) + " " * 8)}
        os.chdir({str(tmp_path)!r})
        print(call(load_module('answer.wasm', strict=True)))
        """
    assert run_python(dedent(code), tmp_path).output.splitlines() == ["42"]


@pytest.mark.parametrize("python", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_works_on_every_python_from_3_9(python: str, site: Path):
    interpreter = environment_of(
        f"wasmtime=={version('wasmtime')}", python=find_python(python), with_ours=False
    )
    code = """
        from importlib.resources import files
        print(call(load_module(files('demo') / 'answer.wasm', strict=True)))
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        print(type(load_component('c.wasm', strict=True)).__name__)
        print(*together(lambda: status('answer.wasm').precompiled))
        """
    answers = ["42", "42", "Component", " ".join(["True"] * 16)]
    assert run(code, site, interpreter, PYTHONWARNINGS="error") == answers
    reason = "the environment variable WASMTIME_BACKTRACE_DETAILS is set"
    check_fall_back(run(FALL_BACK, site, interpreter, **REFUSE), reason)


# The manifest

MANIFESTS = {
    "missing": (None, "cannot be read"),
    "empty": (b"", "cannot be read"),
    "cut short": (b'{"schema": 1, "assets": {', "cannot be read"),
    "no text": (b"\x80\x81\x82", "cannot be read"),
    "not an object": (b"[]", "is of another version of hatch-wazcache than"),
    "of a later schema": (b'{"schema": 2}', "is of another version of hatch-wazcache than"),
    "without a schema": (b"{}", "is of another version of hatch-wazcache than"),
}


@pytest.mark.parametrize("broken", MANIFESTS)
def test_a_broken_manifest_is_an_error_that_names_the_file(broken: str, own_site: Path):
    content, reason = MANIFESTS[broken]
    path = own_site / "demo/_wazcache.json"
    path.unlink() if content is None else path.write_bytes(content)
    code = """
        for action in (assets, engine, lambda: status('answer.wasm'), lambda: load_module('a')):
            print(refused(action))
        """
    said = set(run(code, own_site))
    assert len(said) == 1
    assert said.pop().startswith(f"{path} {reason}")


def test_a_source_tree_that_was_never_built_says_what_is_missing(site: Path, project: Project):
    """A project may have the loader committed."""
    project.write("demo/_wazcache.py", (site / "demo/_wazcache.py").read_bytes())
    (said,) = run("print(refused(lambda: load_module('a.wasm')))", project.root)
    assert said.startswith(f"{project.root / 'demo/_wazcache.json'} cannot be read (")
    assert said.endswith("; hatch-wazcache writes it when it builds this package")


def test_an_editable_install_refuses_the_artifact_of_a_wasm_that_has_changed(project: Project):
    project.append('[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    assert project.editable().status == 0
    wasm = project.root / "demo/a.wasm"
    code = "print(status('a.wasm').precompiled, status('a.wasm').reason)"
    assert run(code, project.root) == ["True None"]
    wasm.write_bytes(wasm.read_bytes())
    os.utime(wasm, ns=(0, 0))
    (said,) = run(code, project.root)
    assert said.startswith("False ")
    assert said.endswith("the .wasm has changed since; install the project again")
    wasm.unlink()
    (said,) = run(code, project.root)
    assert said.startswith("False ")
    assert str(wasm) in said


# For those who read it


def test_is_typed_for_those_who_check_strictly(site: Path, tmp_path: Path):
    """A program that uses it, and the loader itself, which an editable install puts among them."""
    program = tmp_path / "program.py"
    program.write_text(
        dedent("""
        import zipfile
        from importlib.resources import files
        from pathlib import Path
        from typing import Optional

        import wasmtime
        from typing_extensions import assert_type
        from wasmtime.component import Component

        from demo import _wazcache as wazcache

        assert_type(wazcache.assets(), list[str])
        assert_type(wazcache.engine("fuel", cache=True), wasmtime.Engine)
        assert_type(wazcache.load_module("a.wasm", profile="fuel", strict=True), wasmtime.Module)
        assert_type(wazcache.load_component(Path("c.wasm"), wasmtime.Engine()), Component)
        assert_type(wazcache.status("a.wasm"), wazcache.Status)
        assert_type(wazcache.status("a.wasm").reason, Optional[str])
        wazcache.load_module(files("demo") / "a.wasm")
        wazcache.load_module(zipfile.Path("demo.whl", "demo/a.wasm"))
        wazcache.load_module(1)  # type: ignore[arg-type]
        wazcache.load_module("a.wasm", None, "fuel")  # type: ignore[call-arg]
        """)
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", program],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(site)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.stdout == "Success: no issues found in 1 source file\n"


@pytest.mark.parametrize("target", ["py39", "py314"])
def test_is_clean_to_ruff_as_it_comes(target: str, site: Path):
    """An editable install puts it into a project that may check its files."""
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--target-version",
         target, site / "demo/_wazcache.py"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert checked.stdout == "All checks passed!\n"
