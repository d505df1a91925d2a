"""Every front end, in new environments, makes the same wheel, and no tool finds a fault in it."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.environments import environment_with, newest
from tests.support.paths import ROOT
from tests.support.projects import (
    FRONT_ENDS,
    PYPROJECT,
    Built,
    IsolatedProject,
    Project,
    run_python,
)
from tests.support.sboms import components, sbom_text
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET, engines, members, ours, unpack

USE = """
import wasmtime
from demo._wazcache import engine, load_module
store = wasmtime.Store(engine())
instance = wasmtime.Instance(store, load_module("answer.wasm", strict=True), [])
print("the answer is", instance.exports(store)["answer"](store))
"""


def test_every_front_end_builds_the_same_bytes_cold_and_warm(isolated: IsolatedProject):
    wheels = {}
    for front_end in FRONT_ENDS:
        cache = str(isolated.root.parent / f"cache of {front_end}")
        for said in ("1 compiled, 0 found", "0 compiled, 1 found"):
            built = isolated.build_with(front_end, WAZCACHE_DIR=cache)
            assert built.wheel is not None, built.output
            assert built.output.count(said) == 1, built.output
            digest = hashlib.sha256(built.wheel.read_bytes()).hexdigest()
            wheels[front_end, said] = built.wheel.name, digest
    assert len(set(wheels.values())) == 1, wheels


@pytest.mark.parametrize("front_end", ["pip", "build", "uv"])
@pytest.mark.parametrize("wanted", ["wasmtime>=36,<37", "wasmtime>=48,<49"])
def test_a_project_gets_artifacts_of_the_wasmtime_that_it_names(
    isolated: IsolatedProject, tmp_path: Path, wanted: str, front_end: str
):
    isolated.write("pyproject.toml", PYPROJECT.replace("wasmtime>=48,<49", wanted))
    isolated.write("demo/answer.wasm", ANSWER)
    built = isolated.build_with(front_end)
    assert members(built) == {"demo/__init__.py", *ours("demo", "a", "answer")}
    major = wanted[len("wasmtime>=") :].partition(",")[0]
    (engine,) = engines(built.read("demo/_wazcache.json"))
    assert engine.startswith(f"{major}.")
    python = environment_with(newest(wanted))
    ran = run_python(USE, unpack(built.wheel, tmp_path / "site"), python)
    assert ran.output == "the answer is 42\n"


@pytest.mark.parametrize("front_end", ["pip", "build", "uv", "hatch"])
def test_a_project_gets_artifacts_of_the_wasmtime_that_its_dependency_admits(
    isolated: IsolatedProject, front_end: str
):
    text = PYPROJECT.replace("wasmtime>=48,<49", "yowasp-runtime==1.96")  # wasmtime<48
    isolated.write("pyproject.toml", text)
    built = isolated.build_with(front_end)
    (engine,) = engines(built.read("demo/_wazcache.json"))
    assert engine.startswith("47.")
    assert "yowasp-runtime, a dependency of the project, requires wasmtime<48" in built.output


def test_a_wasmtime_that_uv_matches_with_the_runtime_is_the_one_that_compiles(
    isolated: IsolatedProject,
):
    isolated.write("pyproject.toml", PYPROJECT.replace("wasmtime>=48,<49", "wasmtime>=36"))
    isolated.append(
        "[tool.uv.extra-build-dependencies]\n"
        'demo = [{requirement = "wasmtime", match-runtime = true}]\n'
    )
    synced = isolated.run("uv", "sync", "-P", "wasmtime==47.0.1")
    assert synced.status == 0, synced.output
    assert engines((isolated.root / "demo/_wazcache.json").read_bytes()) == ["47.0.0"]


def test_hatch_which_keeps_its_build_environment_follows_a_changed_requirement(
    isolated: IsolatedProject,
):
    for major in (48, 36):
        wanted = f"wasmtime>={major},<{major + 1}"
        isolated.write("pyproject.toml", PYPROJECT.replace("wasmtime>=48,<49", wanted))
        built = isolated.build_with("hatch")
        (engine,) = engines(built.read("demo/_wazcache.json"))
        assert engine.startswith(f"{major}.")


@pytest.mark.parametrize("front_end", FRONT_ENDS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('assets = ["demo/*.wasm"]\ntimeot = 3', "timeot: there is no such option"),
        ('assets = ["demo/*.txt"]', "demo/a.txt: not WebAssembly"),
    ],
    ids=["when it asks what to install", "when it builds"],
)
def test_an_error_is_one_message_without_a_traceback(
    isolated: IsolatedProject, front_end: str, options: str, message: str
):
    isolated.options(options)
    isolated.write("demo/a.txt", "text")
    before = isolated.tree()
    built = isolated.build_with(front_end)
    assert built.status != 0
    assert built.output.count(message) == 1, built.output
    assert built.output.count("wazcache: ") == 1, built.output
    assert "Traceback" not in built.output
    assert isolated.tree() == before
    left = [p.name for p in isolated.root.parent.rglob("*") if p.suffix in {".whl", ".tmp"}]
    assert left == []


@pytest.mark.parametrize(
    ("words", "from_"),
    [
        (["pip", "--python", "PYTHON", "install"], "."),
        (["uv", "pip", "install", "-p", "PYTHON"], "."),
        (["pip", "--python", "PYTHON", "install"], "*.tar.gz"),
        (["pip", "--python", "PYTHON", "install"], "*.whl"),
    ],
    ids=["pip", "uv", "pip, an sdist", "pip, a wheel"],
)
def test_what_is_installed_works_without_hatch_wazcache(
    isolated: IsolatedProject, tmp_path: Path, words: list[str], from_: str
):
    isolated.write("demo/answer.wasm", ANSWER)
    if from_ != ".":
        built = isolated.run("build", "-o", tmp_path / "dist")
        assert built.status == 0, built.output
        (path,) = (tmp_path / "dist").glob(from_)
        from_ = str(path)
    python = tmp_path / "fresh" / "bin" / "python"
    isolated.run("uv", "venv", "-p", sys.executable, tmp_path / "fresh")
    done = isolated.run(*[str(python) if word == "PYTHON" else word for word in words], from_)
    assert done.status == 0, done.output
    ran = run_python(USE, tmp_path, python)
    assert ran.output == "the answer is 42\n"
    code = "from importlib.metadata import distributions as d; print(*{x.name for x in d()})"
    installed = set(run_python(code, tmp_path, python).output.split())
    assert {"demo", "wasmtime"} <= installed
    assert installed.isdisjoint({"hatch-wazcache", "hatchling", "deflate"})


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_an_editable_install_by_a_front_end_loads_precompiled(
    isolated: IsolatedProject, tmp_path: Path, tool: str
):
    uv = [sys.executable, "-m", "uv"]
    seed = ["--seed"] if tool == "pip" else []
    subprocess.run([*uv, "venv", "-q", *seed, tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    install = {"pip": [python, "-m", "pip", "install"], "uv": [*uv, "pip", "install", "-p", python]}
    done = subprocess.run(
        [*install[tool], "-q", "-e", isolated.root], env=isolated.env(), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    ran = run_python(
        "from demo._wazcache import *; load_module('a.wasm', strict=True);"
        "print(status('a.wasm').artifact)",
        tmp_path,
        python,
    )
    assert ran.status == 0, ran.output
    assert ran.output.strip() == str(isolated.root / f"demo/a.{TARGET}.cwasm")


@pytest.mark.parametrize("front_end", ["pip", "uv"])
def test_an_isolated_build_needs_nothing_but_the_option_for_an_sbom(
    isolated: IsolatedProject, front_end: str
):
    isolated.options('assets = ["demo/*.wasm"]\nsbom = true')
    built = isolated.build_with(front_end)
    assert built.wheel is not None, built.output
    parts = {"demo/a.wasm", f"demo/a.{TARGET}.cwasm", "demo/_wazcache.py"}
    assert {*components(built.wheel)} == parts
    here = isolated.build()
    assert here.wheel is not None, here.output
    assert sbom_text(built.wheel) == sbom_text(here.wheel)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What hatch-wazcache's own release would upload, and beside it the wheel without an sdist."""
    folder = tmp_path_factory.mktemp("release")
    _run("build", "-o", folder, ROOT)
    _run("build", "--wheel", "-o", folder / "directly", ROOT)
    return folder


def _run(*words: str | Path) -> Built:
    done = subprocess.run(
        [sys.executable, "-m", *words], text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return Built(done.returncode, done.stdout)


class TestTheToolsFindTheWheelInOrder:
    @pytest.fixture
    def wheel(self, project: Project) -> Path:
        project.write("README.md", "Demo.")
        project.write("demo/answer.wasm", ANSWER)
        text = PYPROJECT.replace("[project]", '[project]\nreadme = "README.md"')
        project.write("pyproject.toml", text)
        built = project.build()
        assert built.wheel is not None, built.output
        return built.wheel

    def test_installer_finds_each_member_as_its_record_says(self, wheel: Path):
        assert members(Built(0, "", wheel)) == {"demo/__init__.py", *ours("demo", "a", "answer")}

    def test_check_wheel_contents(self, wheel: Path):
        _run("check_wheel_contents", "--no-config", wheel)

    def test_twine(self, wheel: Path):
        _run("twine", "check", "--strict", wheel)

    def test_wheel_unpack_and_pack_again(self, wheel: Path, tmp_path: Path):
        _run("wheel", "unpack", "-d", tmp_path / "unpacked", wheel)
        _run("wheel", "pack", "-d", tmp_path, tmp_path / "unpacked" / "demo-1.0")
        with zipfile.ZipFile(tmp_path / wheel.name) as again, zipfile.ZipFile(wheel) as first:
            assert {n: again.read(n) for n in again.namelist() if "RECORD" not in n} == {
                n: first.read(n) for n in first.namelist() if "RECORD" not in n
            }

    def test_import_from_the_zip(self, wheel: Path):
        assert run_python(USE, wheel).output == "the answer is 42\n"


def test_two_equal_assets_are_all_that_check_wheel_contents_minds(project: Project):
    project.wasm("demo/b.wasm")
    built = project.build()
    _run("check_wheel_contents", "--no-config", "--ignore", "W002", built.wheel)


def test_a_long_compilation_gives_signs_of_life_while_it_goes_on(project: Project):
    project.options(
        'assets = ["demo/big.wasm"]\n'
        "profiles.default = {cranelift-debug-verifier = true, consume-fuel = true}"
    )
    project.wasm("demo/big.wasm", "esbuild-wasm__esbuild.wasm")
    on_one_core = (
        "import os, sys; from hatchling.cli import hatchling; "
        "os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); "
        "sys.argv[1:] = ['build', '-t', 'wheel']; hatchling()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", on_one_core], cwd=project.root, env=project.env(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "still compiling" in line:
                assert not list((project.root / "dist").glob("*.whl"))
    assert process.returncode == 0, lines
    said = "".join(lines)
    signs = [int(s) for s in re.findall(r"big\.wasm: still compiling for \S+, (\d+) s", said)]
    seconds = float(re.search(r"big\.wasm: compiled for \S+ in ([\d.]+) s", said)[1])
    if seconds < 11:
        pytest.skip(f"this machine compiles esbuild in {seconds} s, on one core")
    assert signs[0] in {10, 11}
    assert abs(len(signs) - seconds // 10) <= 1
    saved = float(re.search(r"\(([\d.]+) s saved\)", project.build().output)[1])
    assert seconds * 0.5 < saved <= seconds + 0.1


def source_files(folder: str) -> set[str]:
    """Name the files of a folder of this project, but for what tools leave there."""
    files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in files}
    return {name for name in names if not re.search(r"(^|/)(__pycache__|\.\w+_cache)/", name)}


def test_our_own_release_passes_twine_and_check_wheel_contents(release: Path):
    _run("twine", "check", "--strict", *release.glob("*.*"))
    (wheel,) = release.glob("*.whl")
    checked = subprocess.run(
        [sys.executable, "-m", "check_wheel_contents", "--no-config", wheel],
        text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    # Its one complaint: PyInstaller wants its hooks named `hook-…`, which is no name of a module.
    assert checked.stdout.splitlines() == [
        f"{wheel}: W004: Module is not located at importable path:",
        "  hatch_wazcache/resources/pyinstaller/hook-wasmtime.py",
    ]


def test_our_own_wheel_holds_the_package_and_nothing_else(release: Path):
    (wheel,) = release.glob("*.whl")
    held = members(Built(0, "", wheel))
    assert held == source_files("hatch_wazcache")
    assert {"hatch_wazcache/py.typed", "hatch_wazcache/resources/loader.py"} <= held
    metadata = Built(0, "", wheel).read(
        f"{wheel.name[: -len('-py3-none-any.whl')]}.dist-info/METADATA"
    )
    assert b"\nRequires-Dist: wasmtime" not in metadata


def test_our_own_sdist_holds_what_builds_and_tests_us(release: Path):
    (sdist,) = release.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert source_files("hatch_wazcache") <= names
    assert {"tests/conftest.py", "corpus/corpus.csv", "LICENSE", "README.md", "PKG-INFO"} <= names
    assert [name for name in names if name.endswith((".cwasm", ".pyc")) or ".work" in name] == []


def test_our_own_wheel_is_the_same_out_of_the_tree_and_out_of_the_sdist(release: Path):
    (wheel,) = release.glob("*.whl")
    assert wheel.read_bytes() == (release / "directly" / wheel.name).read_bytes()
