"""Every supported version of hatchling, Python and wasmtime."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.environments import environment_of, environment_with, find_python, newest
from tests.support.layouts import LAYOUTS
from tests.support.paths import EXAMPLE
from tests.support.projects import (
    PYPROJECT,
    Built,
    IsolatedProject,
    Project,
    run_python,
    unpack_sdist,
)
from tests.support.wasm import ANSWER, COMPONENT
from tests.support.wheels import TARGET, engines, members, ours, precompiled, unpack
from tests.support.whole_wheels import assert_whole_wheels

WASMTIME = "wasmtime==48.0.0"
OLD_HATCHLINGS = ["1.26.3", "1.27.0", "1.29.0", "1.31.0"]
ALL_HATCHLINGS = [
    *("1.26.0", "1.26.1", "1.26.3", "1.27.0", "1.28.0", "1.29.0"),
    *("1.30.0", "1.30.1", "1.31.0", "1.32.0", "1.32.3", "1.32.4", "1.33.0"),
]
HATCHES = {
    "1.14.0": ["virtualenv<20.27"],  # newer ones are too new for it
    "1.16.5": [],
    "1.18.1": [],
    "newest": [],
}
"""Versions of hatch, and other packages that they need. The first three do not ask our hook."""


def contents(wheel: Path | None) -> dict[str, tuple[bytes, object]]:
    """Read all of a wheel but what names the version of hatchling."""
    assert wheel is not None
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename: (archive.read(info), (info.date_time, info.external_attr))
            for info in archive.infolist()
            if not info.filename.endswith((".dist-info/METADATA", "/WHEEL", "/RECORD"))
        }


def with_hatchling(version: str, python: Path = Path(sys.executable)) -> Path:
    """Return the Python of an environment with a version of hatchling, and what it asks for."""
    return environment_of(f"hatchling=={version}", WASMTIME, "editables", python=python)


def with_hatch(project: IsolatedProject, version: str) -> None:
    """Let a project be built by a version of hatch."""
    hatch = newest("hatch") if version == "newest" else version
    project.python = environment_of(f"hatch=={hatch}", *HATCHES[version], with_ours=False)


@pytest.mark.parametrize("hatch", HATCHES)
@pytest.mark.parametrize("target", ["wheel", "wazcache"])
def test_every_hatch_builds_the_example(isolated: IsolatedProject, hatch: str, target: str):
    shutil.rmtree(isolated.root)
    shutil.copytree(EXAMPLE, isolated.root, ignore=shutil.ignore_patterns("dist", "*.cwasm"))
    with_hatch(isolated, hatch)
    done = isolated.run("hatch", "build", "-t", target)
    assert done.status == 0, done.output
    wheels = (isolated.root / "dist").glob("*.whl")
    names = [name for wheel in wheels for name in zipfile.ZipFile(wheel).namelist()]
    assert f"gofmt/gofmt.{TARGET}.cwasm" in names


@pytest.mark.parametrize("hatch", HATCHES)
def test_a_hatch_that_installs_no_wasmtime_says_which_line_to_add(
    isolated: IsolatedProject, hatch: str
):
    with_hatch(isolated, hatch)
    built = isolated.build_with("hatch")
    if hatch == "newest":
        assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
        return
    assert built.status != 0
    line = 'add "wasmtime<49,>=48" to build-system.requires'
    assert built.output.replace("\n", " ").count(line) == 1, built.output
    assert "Traceback" not in built.output


@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler")
def test_hatch_mypyc_and_wazcache_make_one_wheel(project: Project, tmp_path: Path):
    project.python = environment_of("hatch-mypyc", WASMTIME)
    project.write("demo/fast.py", "def increment(number: int) -> int:\n    return number + 1\n")
    head, _, options = PYPROJECT.partition("[tool.hatch.build.hooks.wazcache]\n")
    hooks = [
        "[tool.hatch.build.targets.sdist.hooks.wazcache]",
        "[tool.hatch.build.targets.wheel.hooks.mypyc]",
        "[tool.hatch.build.targets.wheel.hooks.wazcache]",
        "[tool.wazcache]",
    ]
    project.write("pyproject.toml", "\n".join([head, *hooks, options]))
    for target in ("wheel", "wazcache"):
        built = project.hatchling("-t", target)
        assert built.status == 0, built.output
        site = unpack(built.wheel, tmp_path / target)
        ran = run_python(
            "from demo import fast, _wazcache; _wazcache.load_module('a.wasm', strict=True); "
            "print(fast.__file__.rpartition('.')[2], _wazcache.status('a.wasm').precompiled)",
            site, project.python,
        )  # fmt: skip
        assert ran.output.splitlines()[0] in {"so True", "pyd True"}
        built.wheel.unlink()


@pytest.fixture
def with_newest_hatchling(project: Project) -> Built:
    project.python = with_hatchling(newest("hatchling"))
    return project.build()


@pytest.mark.parametrize("hatchling", OLD_HATCHLINGS)
def test_an_older_hatchling_builds_the_same_members(
    project: Project, with_newest_hatchling: Built, tmp_path: Path, hatchling: str
):
    project.python = with_hatchling(hatchling)
    built = project.build(WAZCACHE_DIR=str(tmp_path / "cold"))
    assert "1 compiled, 0 found" in built.output
    assert f"Generator: hatchling {hatchling}\n".encode() in built.read("demo-1.0.dist-info/WHEEL")
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert contents(built.wheel) == contents(with_newest_hatchling.wheel)
    again = project.build(WAZCACHE_DIR=str(tmp_path / "cold"))
    assert "0 compiled, 1 found" in again.output
    assert again.wheel.read_bytes() == built.wheel.read_bytes()
    assert precompiled(unpack(built.wheel, tmp_path / "site")) == {
        "demo/a.wasm": f"demo/a.{TARGET}.cwasm"
    }


@pytest.mark.parametrize("hatchling", ["oldest", "newest"])
@pytest.mark.parametrize(
    "name",
    [
        "sources-change-a-prefix", "force-include-of-a-folder", "force-include-with-sources",
        "spaces-accents-and-brackets", "links-inside-the-root",
    ],
)  # fmt: skip
def test_the_layouts_have_the_same_wheels_with_every_hatchling_that_we_support(
    name: str, hatchling: str, tmp_path: Path
):
    version = "1.26.3" if hatchling == "oldest" else newest("hatchling")
    project = LAYOUTS[name].make(tmp_path)
    project.python = environment_of(f"hatchling=={version}", WASMTIME)
    built = project.build()
    assert members(built) == LAYOUTS[name].wheel
    assert f"hatchling {version}" in built.read("demo-1.0.dist-info/WHEEL").decode()
    assert precompiled(unpack(built.wheel, tmp_path / "site"))


@pytest.mark.parametrize("hatchling", [*ALL_HATCHLINGS, "newest"])
def test_under_every_hatchling_a_name_holds_the_old_wheel_or_the_whole_new_one(
    project: Project, hatchling: str
):
    project.python = with_hatchling(newest("hatchling") if hatchling == "newest" else hatchling)
    assert_whole_wheels(project, 4)


@pytest.mark.parametrize("hatchling", OLD_HATCHLINGS)
def test_an_older_hatchling_makes_an_editable_install_that_clean_removes(
    project: Project, hatchling: str
):
    project.python = with_hatchling(hatchling)
    before = project.tree()
    built = project.editable()
    assert built.status == 0, built.output
    assert set(project.tree()) - set(before) == ours("demo", "a") - {"demo/a.wasm"}
    assert precompiled(project.root) == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}
    cleaned = project.hatchling("-t", "wheel", "--clean-only")
    assert cleaned.status == 0, cleaned.output
    assert [name for name in project.tree() if "__pycache__" not in name] == before


@pytest.mark.parametrize("hatchling", OLD_HATCHLINGS)
def test_an_older_hatchling_makes_an_sdist_with_the_asset(
    project: Project, hatchling: str, tmp_path: Path
):
    project.python = with_hatchling(hatchling)
    project.write(".gitignore", "*.wasm\n")
    project.editable()
    sdist = unpack_sdist(project.sdist(), tmp_path / "sdist", project.cache)
    assert set(sdist.tree()) == {
        ".gitignore", "PKG-INFO", "demo/__init__.py", "demo/a.wasm", "pyproject.toml"
    }  # fmt: skip


@pytest.mark.parametrize("hatchling", OLD_HATCHLINGS)
def test_an_error_ends_an_older_hatchling_too_without_a_traceback(project: Project, hatchling: str):
    project.python = with_hatchling(hatchling)
    project.write("demo/a.wasm", "text")
    built = project.build()
    assert built.status == 1
    assert built.output.splitlines() == [
        r"wazcache: demo/a.wasm: not WebAssembly (it does not begin with \0asm)"
    ]
    assert not list((project.root / "dist").glob("*"))


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_builds_the_same_bytes(project: Project, tmp_path: Path, version: str):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.python = with_hatchling(newest("hatchling"))
    expected = project.build()
    assert expected.wheel is not None, expected.output
    project.python = with_hatchling(newest("hatchling"), find_python(version))
    assert f"/python{version}-" in str(project.python)
    for said in ("2 compiled, 0 found", "0 compiled, 2 found"):
        built = project.build(WAZCACHE_DIR=str(tmp_path / "own"))
        assert said in built.output
        assert members(built) == {"demo/__init__.py", *ours("demo", "a", "b")}
        assert built.wheel.read_bytes() == expected.wheel.read_bytes()
    site = unpack(built.wheel, tmp_path / "site")
    ran = run_python(
        "from demo._wazcache import *; print(load_module('b.wasm', strict=True))",
        site,
        project.python,
    )
    assert "wasmtime._module.Module" in ran.output


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_makes_editable_installs_that_load(project: Project, version: str):
    project.python = with_hatchling(newest("hatchling"), find_python(version))
    built = project.editable()
    assert built.status == 0, built.output
    assert precompiled(project.root, project.python) == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_has_the_compilation_cache_and_the_command_line(
    project: Project, tmp_path: Path, version: str
):
    project.python = with_hatchling(newest("hatchling"), find_python(version))
    code = (
        "import wasmtime; from hatch_wazcache import CompilationCache; "
        f"cache = CompilationCache.in_directory({str(project.cache)!r}); "
        f"module = cache.load_module({ANSWER!r}); store = wasmtime.Store(cache.engine()); "
        "print(wasmtime.Instance(store, module, []).exports(store)['answer'](store))"
    )
    assert run_python(code, tmp_path, project.python, PYTHONWARNINGS="error").output == "42\n"
    wheel = project.build().wheel
    assert wheel is not None
    for words, part in [
        (["list"], f"  {TARGET}  "),
        (["verify"], ": 0 broken"),
        (["warm"], "0 compiled, 1 found"),
        (["inspect", wheel], f"a.{TARGET}.cwasm"),
        (["audit", wheel], "0 findings"),
    ]:
        done = project.run("hatch_wazcache", *words, PYTHONWARNINGS="error")
        assert done.status == 0, done.output
        assert part in done.output


@pytest.mark.parametrize("oldest", ["3.10", "3.13"])
def test_the_oldest_dependencies_that_we_admit_do(project: Project, oldest: str):
    python = find_python(oldest)
    project.python = environment_of("--resolution=lowest-direct", WASMTIME, python=python)
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert b"hatchling 1.26" in built.read("demo-1.0.dist-info/WHEEL")
    assert "0 compiled, 1 found" in project.build().output


@pytest.fixture(params=["36", "44", "48", "newest"])
def wasmtime(request: pytest.FixtureRequest) -> str:
    """A version of wasmtime."""
    return newest("wasmtime" if request.param == "newest" else f"wasmtime=={request.param}.*")


def name(project: Project, wasmtime: str) -> None:
    """Have the project name a wasmtime, and build with it."""
    major = int(wasmtime.partition(".")[0])
    wanted = f"wasmtime>={major},<{major + 1}"
    project.write("pyproject.toml", PYPROJECT.replace("wasmtime>=48,<49", wanted))
    project.python = environment_with(wasmtime)


def test_every_wasmtime_builds_loads_and_runs(project: Project, wasmtime: str, tmp_path: Path):
    name(project, wasmtime)
    project.write("demo/answer.wasm", ANSWER)
    for said in ("2 compiled, 0 found", "0 compiled, 2 found"):
        built = project.build()
        assert members(built) == {"demo/__init__.py", *ours("demo", "a", "answer")}
        assert said in built.output
        assert "warning" not in built.output
    major = wasmtime.partition(".")[0]
    (engine,) = engines(built.read("demo/_wazcache.json"))
    assert engine.split(".")[0] == major
    ran = run_python(
        "import wasmtime; from demo._wazcache import *; store = wasmtime.Store(engine()); "
        "module = load_module('answer.wasm', strict=True); "
        "print(wasmtime.Instance(store, module, []).exports(store)['answer'](store)); "
        "print([status(asset).precompiled for asset in assets()])",
        unpack(built.wheel, tmp_path / "site"),
        project.python,
    )
    assert ran.output == "42\n[True, True]\n"


def test_every_wasmtime_from_39_builds_and_loads_components(
    project: Project, wasmtime: str, tmp_path: Path
):
    name(project, wasmtime)
    project.write("demo/a.wasm", COMPONENT)
    built = project.build()
    if int(wasmtime.partition(".")[0]) < 39:
        assert "demo/a.wasm: cannot be compiled" in built.output
        assert "components need wasmtime 39 or later" in built.output
        assert built.status == 1
        return
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    ran = run_python(
        "from demo._wazcache import *; load_component('a.wasm', strict=True); "
        "print(status('a.wasm'))",
        unpack(built.wheel, tmp_path / "site"),
        project.python,
    )
    assert "precompiled=True" in ran.output


def test_every_wasmtime_has_settings_and_cpu_levels(
    project: Project, wasmtime: str, tmp_path: Path
):
    name(project, wasmtime)
    project.append(
        'cpu = "x86-64-v2"\nprofiles.default = {}\n'
        'profiles.metered = {consume-fuel = true, cranelift-opt-level = "speed_and_size"}\n'
    )
    built = project.build()
    assert built.status == 0, built.output
    ran = run_python(
        "from demo._wazcache import *; load_module('a.wasm', strict=True, profile='metered'); "
        "print(*[status('a.wasm', profile=p).precompiled for p in ('default', 'metered')])",
        unpack(built.wheel, tmp_path / "site"),
        project.python,
    )
    assert ran.output == "True True\n"


@pytest.mark.parametrize("cpu", ["baseline", "x86-64-v3", "native"])
def test_every_wasmtimes_artifacts_are_audited_and_compiled_again(
    project: Project, wasmtime: str, cpu: str
):
    name(project, wasmtime)
    project.append(
        f'cpu = "{cpu}"\nprofiles.default = {{}}\n'
        "profiles.other = {consume-fuel = true, cranelift-debug-verifier = true, "
        'cranelift-opt-level = "none"}\n'
    )
    built = project.build()
    assert built.status == 0, built.output
    audited = project.run("hatch_wazcache", "audit", "--recompile", built.wheel)
    assert audited.status == 0, audited.output
    assert audited.output.endswith("2 artifacts, 2 compiled again: 0 findings\n")
    inspected = project.run("hatch_wazcache", "inspect", "--json", built.wheel)
    (wheel,) = json.loads(inspected.output)["wheels"]
    ((asset,),) = [package["assets"] for package in wheel["packages"]]
    assert [artifact["loads"] for artifact in asset["artifacts"]] == [True, True]


def test_one_cache_serves_all_wasmtimes_side_by_side(project: Project):
    versions = [newest("wasmtime==36.*"), newest("wasmtime==48.*")]
    wheels = []
    for version in (*versions, *versions):
        name(project, version)
        wheels.append(project.build().wheel.read_bytes())
    assert wheels[:2] == wheels[2:]
    assert wheels[0] != wheels[1]
    scopes = sorted(path.name.split(".")[0] for path in project.cache.glob("wasmtime-*"))
    assert scopes == ["wasmtime-36", "wasmtime-48"]


def test_what_another_wasmtime_refuses_is_compiled_with_a_warning(project: Project, tmp_path: Path):
    project.python = environment_with("48.0.0")
    site = unpack(project.build().wheel, tmp_path / "site")
    version = newest("wasmtime==44.*")
    ran = run_python(
        "from demo._wazcache import *; print(load_module('a.wasm'))",
        site,
        environment_with(version),
    )
    assert "wasmtime._module.Module" in ran.output
    assert f"compiled for wasmtime 48, installed is {version}" in ran.output
