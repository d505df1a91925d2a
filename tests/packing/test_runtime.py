"""Runtime packages: the loader is in one package, and the `.wasm` in others."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support.environments import environment_of
from tests.support.fetching import Installers
from tests.support.options import requirements
from tests.support.projects import STOCK_PYPROJECT, Project, SetuptoolsProject
from tests.support.wasm import tiny
from tests.support.wheels import TARGET, members, unpack

KINDS = pytest.mark.parametrize("kind", [Project, SetuptoolsProject])

RUNTIME = """\
loader = "wz_rt/_wazcache.py"
profiles.fueled = {consume-fuel = true, debug-info = true}
profiles.plain = {}
"""
SHIPS = 'assets = ["demo/*.wasm"]\nruntime = "wz-rt~=1.0"'
NAME = 'name = "demo"'


def rename(project: Project, replacements: dict[str, str]) -> None:
    file = project.root / "pyproject.toml"
    text = file.read_text("utf-8")
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


def runtime(kind: type[Project], folder: Path, options: str = RUNTIME) -> Project:
    """Make the project of a runtime package. Nobody may import its code."""
    made = kind(folder / "project", folder / "cache")
    made.write("wz_rt/__init__.py", "raise SystemExit('imported')")
    made.options(options)
    rename(made, {NAME: 'name = "wz-rt"'})
    if kind is Project:
        made.append('\n[tool.hatch.build.targets.wheel]\npackages = ["wz_rt"]\n')
    else:
        rename(made, {"demo*": "wz_rt*"})
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the runtime."""
    built = runtime(Project, tmp_path_factory.mktemp("runtime")).build()
    assert built.wheel is not None, built.output
    return built.wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which uv and pip find wheels."""
    made = Installers("uv", tmp_path, monkeypatch)
    made.offline()
    made.links.mkdir()
    return made.links


def ships(kind: type[Project], folder: Path, options: str = SHIPS) -> Project:
    """Make a project that ships a `.wasm` for the runtime, and does not name wasmtime."""
    made = kind(folder / "project", folder / "cache")
    made.write("demo/__init__.py")
    made.write("demo/a.wasm", tiny("a"))
    made.options(options)
    rename(made, {"wasmtime>=48,<49": "wz-rt~=1.0"})
    return made


def install(wheel: Path, project: Project) -> Path:
    """Make the runtime a distribution of the build environment."""
    site = unpack(wheel, project.root.parent / "site")
    project.environment["PYTHONPATH"] = str(site)
    return site


@KINDS
def test_a_runtime_package_has_the_loader_and_all_its_profiles_and_no_assets(kind, tmp_path):
    project = runtime(kind, tmp_path)
    project.use("")
    built = project.build()
    assert built.wheel.name == "wz_rt-1.0-py3-none-any.whl"
    assert members(built) == {
        f"wz_rt/{n}" for n in ("__init__.py", "_wazcache.json", "_wazcache.py")
    }
    manifest = json.loads(built.read("wz_rt/_wazcache.json"))
    assert manifest["profiles"] == {
        "fueled": {"consume-fuel": True, "debug-info": True},
        "plain": {},
    }
    assert manifest["assets"] == {}
    assert "there are no assets, so the wheel has the loader and its profiles" in built.output


@pytest.mark.parametrize(
    ("loader", "said"),
    [
        ("_wazcache.py", "must be inside a package"),
        ("elsewhere/_wazcache.py", "is not in a Python package of the wheel; the packages are"),
        ("wz_rt/other.py", "its loader would replace"),
    ],
)
def test_the_loader_of_a_runtime_package_must_be_in_a_package(loader, said, tmp_path):
    project = runtime(Project, tmp_path, f'loader = "{loader}"')
    project.write("wz_rt/other.py", "mine = 1")
    built = project.build()
    assert built.wheel is None
    assert f'loader = "{loader}": {said}' in built.output


def test_a_runtime_package_that_lacks_wasmtime_is_warned(tmp_path):
    project = runtime(Project, tmp_path)
    rename(project, {'"wasmtime>=48,<49"': ""})
    assert "project.dependencies does not name wasmtime" in project.build().output


def test_a_runtime_package_can_be_installed_editable(tmp_path):
    project = runtime(Project, tmp_path)
    project.append('dev-mode-dirs = ["."]\n')
    project.use("")
    assert project.editable().status == 0
    manifest = json.loads((project.root / "wz_rt/_wazcache.json").read_text("utf-8"))
    assert list(manifest["profiles"]) == ["fueled", "plain"]
    assert (project.root / "wz_rt/_wazcache.py").is_file()


@KINDS
def test_a_package_that_ships_has_artifacts_for_the_runtimes_profiles_and_no_loader(
    kind, wheel, tmp_path
):
    project = ships(kind, tmp_path)
    install(wheel, project)
    built = project.build()
    artifacts = {f"demo/a.{TARGET}.{profile}.cwasm" for profile in ("fueled", "plain")}
    assert members(built) == {
        "demo/__init__.py",
        "demo/a.wasm",
        "demo/_wazcache.json",
        *artifacts,
    }
    manifest = json.loads(built.read("demo/_wazcache.json"))
    assert manifest["runtime"] == "wz-rt~=1.0"
    assert manifest["profiles"] == {
        "fueled": {"consume-fuel": True, "debug-info": True},
        "plain": {},
    }
    assert "wazcache: warning" not in built.output


def test_an_asset_can_name_some_of_the_runtimes_profiles(wheel, tmp_path):
    asset = '{path = "demo/a.wasm", profiles = ["plain"]}'
    project = ships(Project, tmp_path, f'assets = [{asset}]\nruntime = "wz-rt"')
    install(wheel, project)
    assert f"demo/a.{TARGET}.plain.cwasm" in members(project.build())
    rename(project, {'"plain"': '"plain", "fast"'})
    built = project.build()
    assert "assets: the profile fast is none of the runtime wz-rt 1.0" in built.output
    assert built.wheel is None or "fueled" not in built.names


def test_a_runtime_that_is_not_installed_is_fetched_and_kept(wheel, index, tmp_path):
    shutil.copy(wheel, index)
    project = ships(Project, tmp_path)
    first = project.build()
    assert f"demo/a.{TARGET}.plain.cwasm" in members(first)
    shutil.rmtree(index)
    index.mkdir()
    assert members(project.build()) == members(first)


def test_the_newest_runtime_decides_as_it_does_for_users(wheel, index, tmp_path):
    shutil.copy(wheel, index)
    project = ships(Project, tmp_path)
    assert f"demo/a.{TARGET}.plain.cwasm" in members(project.build())
    newer = runtime(Project, tmp_path / "runtime", RUNTIME.replace("plain", "newer"))
    rename(newer, {'version = "1.0"': 'version = "1.1"'})
    shutil.copy(newer.build().wheel, index)
    assert f"demo/a.{TARGET}.newer.cwasm" in members(project.build())


def test_the_wheels_of_one_build_have_one_runtime_which_is_fetched_once(wheel, index, tmp_path):
    shutil.copy(wheel, index)
    project = ships(Project, tmp_path)
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho run >> {uv}.log\nexec {os.environ["UV"]} "$@"\n')
    uv.chmod(0o700)
    done = project.run("hatchling", "build", "-t", "wazcache", UV=str(uv))
    assert done.status == 0, done.output
    assert len(list((project.root / "dist").iterdir())) == 2
    assert Path(f"{uv}.log").read_text("utf-8") == "run\n"


@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
def test_an_editable_install_has_artifacts_for_the_runtime(kind, wheel, tmp_path):
    project = ships(kind, tmp_path)
    if kind is Project:
        project.append('\n[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    install(wheel, project)
    assert project.editable().status == 0
    files = {path.name for path in (project.root / "demo").iterdir()} - {"__pycache__"}
    artifacts = {f"a.{TARGET}.{profile}.cwasm" for profile in ("fueled", "plain")}
    assert files == {"__init__.py", "a.wasm", "_wazcache.json", *artifacts}


NATIVE_HOOK = """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Custom(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["infer_tag"], build_data["pure_python"] = True, False
"""


def test_a_runtime_package_with_native_files_keeps_its_tag(tmp_path):
    project = runtime(Project, tmp_path)
    project.write("hatch_build.py", NATIVE_HOOK)
    text = (project.root / "pyproject.toml").read_text("utf-8")
    table = "[tool.hatch.build.hooks.custom]\n\n[tool.hatch.build.hooks.wazcache]"
    project.write("pyproject.toml", text.replace("[tool.hatch.build.hooks.wazcache]", table))
    built = project.build()
    assert built.wheel.name.startswith("wz_rt-1.0-cp3"), built.output
    assert "wz_rt/_wazcache.py" in members(built)


def test_a_runtime_package_of_setuptools_keeps_the_tag_of_its_platform(tmp_path):
    project = runtime(SetuptoolsProject, tmp_path)
    done = project.setup("bdist_wheel", "--plat-name", "manylinux2014_x86_64")
    assert done.status == 0, done.output
    (made,) = (project.root / "dist").iterdir()
    assert made.name == "wz_rt-1.0-py3-none-manylinux2014_x86_64.whl"


def test_compile_makes_a_runtime_package_too(tmp_path):
    project = runtime(Project, tmp_path)
    hooks = project.build().wheel.read_bytes()
    text = (project.root / "pyproject.toml").read_text("utf-8")
    head, _, options = text.partition("[tool.hatch.build.hooks.wazcache]")
    stock = head.replace(', "hatch-wazcache"', "") + options[options.index("[tool") :]
    project.write("pyproject.toml", stock)
    shutil.rmtree(project.root / "dist")
    plain = project.build().wheel
    flags = ["--profiles", "fueled.consume-fuel=true,fueled.debug-info=true,plain.jit=1"]
    words = ["compile", plain, "--loader", "wz_rt/_wazcache.py", "-w", "made"]
    project.write("pyproject.toml", f"{stock}\n[tool.wazcache]\n{RUNTIME}")
    done = project.run("hatch_wazcache", *words[:2], *words[4:])
    assert done.status == 0, done.output
    (made,) = (project.root / "made").iterdir()
    assert made.read_bytes() == hooks
    wrong = project.run("hatch_wazcache", *words, *flags)
    assert "profiles.plain.jit: there is no such option" in wrong.output


def test_the_plan_reads_a_runtime_that_is_there_and_fetches_none(wheel, index, tmp_path):
    shutil.copy(wheel, index)
    project = ships(Project, tmp_path)
    said = project.run("hatch_wazcache", "plan").output
    assert 'runtime = "wz-rt~=1.0": is neither installed here nor fetched' in said
    assert not project.cache.exists()
    assert project.run("hatch_wazcache", "warm").status == 0
    said = project.run("hatch_wazcache", "plan").output
    assert "2 found in the cache, 0 to compile" in said


def test_no_runtime_no_wheel_and_the_message_says_where_to_put_one(index, tmp_path):
    built = ships(Project, tmp_path).build()
    assert built.wheel is None
    assert "wz-rt~=1.0 is needed for tool.hatch.build.hooks.wazcache.runtime, but" in built.output
    assert "put a wheel such as wz_rt-1.0-py3-none-any.whl into a folder" in built.output
    assert "a build does that if build-system.requires names it" in built.output


def test_hatch_that_installs_nothing_for_hooks_is_told_both_lines_to_add(wheel, index, tmp_path):
    shutil.copy(wheel, index)
    project = ships(Project, tmp_path)
    project.use("")
    project.use_name_of_hatch()
    built = project.build(HATCH_ENV_ACTIVE="default")
    assert 'add "wz-rt~=1.0", "wasmtime" to build-system.requires in pyproject.toml' in built.output


def test_the_build_environment_gets_the_runtime(tmp_path):
    project = ships(Project, tmp_path)
    assert requirements(project).output.strip() == "['wz-rt~=1.0']"
    assert "'wz-rt~=1.0'" in requirements(project, "editable").output
    assert requirements(project, "sdist").output.strip() == "[]"


def test_the_build_environment_of_setuptools_gets_the_runtime(wheel, tmp_path):
    project = ships(SetuptoolsProject, tmp_path)
    code = "from setuptools import build_meta; print(build_meta.get_requires_for_build_wheel())"
    assert "'wz-rt~=1.0'" in project.run_python("-c", code).output.splitlines()[-1]
    install(wheel, project)
    assert "wz-rt" not in project.run_python("-c", code).output.splitlines()[-1]


def test_artifacts_are_for_a_wasmtime_that_the_runtime_requires(tmp_path):
    other = runtime(Project, tmp_path / "runtime")
    rename(other, {">=48,<49": ">=44,<48"})
    project = ships(Project, tmp_path)
    install(other.build().wheel, project)
    built = project.build()
    assert built.wheel is None
    assert (
        "wasmtime 48.0.0 is installed in this environment, but the runtime wz-rt 1.0 says "
        "wasmtime<48,>=44"
    ) in built.output


def test_a_wasmtime_that_is_chosen_for_one_build_need_not_fit_the_runtime(index, tmp_path):
    other = runtime(Project, tmp_path / "runtime")
    rename(other, {">=48,<49": ">=44,<48"})
    shutil.copy(other.build().wheel, index)
    project = ships(Project, tmp_path)
    project.environment["WAZCACHE_ENGINE"] = "wasmtime==48.*"
    asked = project.run_python(
        "-c", "import hatchling.build as b; print(b.get_requires_for_build_wheel())"
    )
    assert asked.output.strip() == "[]"
    built = project.build()
    assert f"demo/a.{TARGET}.plain.cwasm" in members(built)
    assert "the wheel requires wasmtime<48,>=44, but WAZCACHE_ENGINE chose" in built.output


def test_the_build_environment_gets_pip_where_a_runtime_must_be_fetched(tmp_path):
    project = ships(Project, tmp_path)
    project.python = environment_of("hatchling", "wasmtime==48.0.0")
    code = "import hatchling.build as b; print(b.get_requires_for_build_wheel())"
    variables = {"WAZCACHE_ENGINE": "wasmtime==48.*", "PATH": os.defpath, "UV": ""}
    assert project.run_python("-c", code, **variables).output.strip() == "['pip']"


@pytest.mark.parametrize("strict", [False, True])
def test_a_build_warns_when_the_project_and_its_runtime_part_ways(strict, wheel, tmp_path):
    project = ships(Project, tmp_path)
    install(wheel, project)
    rename(project, {'["wz-rt~=1.0"]': '["wasmtime>=48,<49"]'})
    built = project.build(WAZCACHE_STRICT=str(int(strict)))
    assert "no dependency names wz-rt, so no installer installs it; add" in built.output
    assert (built.wheel is None) == strict


def test_audit_finds_a_wheel_whose_runtime_nobody_installs(wheel, tmp_path):
    project = ships(Project, tmp_path)
    install(wheel, project)
    rename(project, {'["wz-rt~=1.0"]': '["wasmtime>=48,<49"]'})
    made = project.build().wheel
    audited = project.run("hatch_wazcache", "audit", made).output
    assert "METADATA: does not require wz-rt~=1.0, whose loader loads the artifacts" in audited
    assert "loaded by wz-rt~=1.0" in project.run("hatch_wazcache", "inspect", made).output


def test_companions_can_have_the_artifacts_of_a_package_with_a_runtime(wheel, tmp_path):
    project = ships(Project, tmp_path, f'{SHIPS}\ncompanion = "demo-artifacts"\nengines = ["48"]')
    rename(project, {'"wz-rt~=1.0"]': '"demo-artifacts", "wz-rt~=1.0"]'})
    install(wheel, project)
    done = project.run("hatchling", "build", "-t", "wazcache:native")
    assert done.status == 0, done.output
    made = {path.name.partition("-py3")[0] for path in (project.root / "dist").iterdir()}
    assert made == {"demo-1.0", "demo_artifacts-48.1.0", "demo_artifacts-0"}
    wheels = sorted((project.root / "dist").iterdir())
    audited = project.run("hatch_wazcache", "audit", *wheels)
    assert audited.status == 0, audited.output


def test_compile_makes_the_bytes_of_the_hook_with_a_fetched_runtime(wheel, index, tmp_path):
    shutil.copy(wheel, index)
    project = ships(Project, tmp_path)
    hooks = project.build().wheel.read_bytes()
    shutil.rmtree(project.root / "dist")
    pyproject = STOCK_PYPROJECT.replace("wasmtime>=48,<49", "wz-rt~=1.0")
    project.write("pyproject.toml", pyproject)
    stock = project.build().wheel
    words = ("compile", stock, "--runtime", "wz-rt~=1.0", "--targets", "native", "-w", "made")
    done = project.run("hatch_wazcache", *words)
    assert done.status == 0, done.output
    (made,) = (project.root / "made").iterdir()
    assert made.read_bytes() == hooks
    again = project.run("hatch_wazcache", "compile", made, "-w", "again")
    assert again.status == 0, again.output
    (refreshed,) = (project.root / "again").iterdir()
    assert refreshed.read_bytes() == hooks
