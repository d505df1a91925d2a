"""Companions on an index: real resolvers choose them, and the loader finds them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS
from tests.support.commands import answer
from tests.support.environments import newest
from tests.support.projects import FRONT_ENDS, IsolatedProject, Project, run_python
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET, engines, members, ours

PYPROJECT = """\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=44", "demo-wasmtime"]

[tool.hatch.build.hooks.wazcache]
assets = ["demo/*.wasm"]
targets = ["native"]
engines = ["47", "48", "49"]
companion = "demo-wasmtime"
"""

INSTALLERS = {
    "pip": ["pip", "install", "-q", "--no-compile"],
    "uv": ["uv", "pip", "install", "-q", "--link-mode", "copy", "--python", sys.executable],
}

LOAD = """
import warnings
warnings.simplefilter("error", ResourceWarning)
from demo import _wazcache
import wasmtime
store = wasmtime.Store(_wazcache.engine())
instance = wasmtime.Instance(store, _wazcache.load_module("a.wasm"), [])
status = _wazcache.status("a.wasm")
print(instance.exports(store)["answer"](store), status.precompiled)
"""


class Index:
    """A folder of wheels that installers take beside their own index."""

    def __init__(self, folder: Path, project: Project) -> None:
        self.folder = folder
        self.project = project

    def build(self) -> None:
        """Publish what the builder makes of the project."""
        words = ["hatchling", "build", "-t", "wazcache", "-d", str(self.folder)]
        done = self.project.run(*words)
        assert done.status == 0, done.output

    def add_engine(self, version: str) -> None:
        """Publish a companion for one more wasmtime, out of the published wheel alone."""
        (wheel,) = self.folder.glob("demo-*-any.whl")
        words = ["--engine", version, "--targets", "native", "-w", self.folder]
        answer(self.project, "companion", wheel, *words)

    def install(self, installer: str, site: Path, *requirements: str) -> dict[str, str]:
        """Install into a folder; return the versions of what was installed."""
        words = [*INSTALLERS[installer], "--find-links", self.folder, "--target", site]
        subprocess.run([sys.executable, "-m", *words, *requirements], check=True)
        names = (path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info"))
        return dict(name.split("-") for name in names)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """An index with the package, and its companions for 47, 48 and 49."""
    folder = tmp_path_factory.mktemp("index")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", PYPROJECT)
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", ANSWER)
    made = Index(folder / "wheels", project)
    made.build()
    return made


def copy(index: Index, folder: Path) -> Index:
    shutil.copytree(index.folder, folder)
    return Index(folder, index.project)


@pytest.mark.parametrize("installer", INSTALLERS)
@pytest.mark.parametrize(
    ("requirement", "companion"),
    [
        ("demo", "49.1.0"),
        ("wasmtime==49.0.0", "49.1.0"),
        ("wasmtime<49", "48.1.0"),
        ("wasmtime==48.0.0", "48.1.0"),
        ("wasmtime>=47.0.1,<47.1", "47.1.0"),
        ("wasmtime==46.0.1", "0"),
        ("wasmtime==45.0.0", "0"),
        ("wasmtime==44.0.0", "0"),
        ("wasmtime>=50", "0"),
    ],
)
def test_the_resolver_takes_the_companion_for_the_wasmtime_and_its_artifacts_load(
    index: Index, tmp_path: Path, installer: str, requirement: str, companion: str
):
    site = tmp_path / "site"
    installed = index.install(installer, site, "demo", requirement)
    assert (installed["demo"], installed["demo_wasmtime"]) == ("1.0", companion)
    if companion != "0":
        assert installed["wasmtime"].partition(".")[0] == companion.partition(".")[0]
    ran = run_python(LOAD, site, XDG_CACHE_HOME=str(tmp_path / "home"))
    assert ran.output.splitlines()[-1] == f"42 {companion != '0'}", ran.output


@pytest.mark.parametrize("installer", INSTALLERS)
def test_one_more_engine_comes_out_of_the_published_wheel_and_the_package_stays(
    index: Index, tmp_path: Path, installer: str
):
    more = copy(index, tmp_path / "wheels")
    before = {path.name: path.read_bytes() for path in more.folder.iterdir()}
    more.add_engine("50")
    after = {path.name: path.read_bytes() for path in more.folder.iterdir()}
    tags = ".".join(TARGETS[TARGET].platform_tags)
    assert after.keys() - before.keys() == {f"demo_wasmtime-50.1.0-py3-none-{tags}.whl"}
    assert after | before == after
    site = tmp_path / "site"
    assert more.install(installer, site, "demo")["demo_wasmtime"] == "50.1.0"
    ran = run_python(LOAD, site)
    assert ran.output == "42 True\n"


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_version_without_companions_gets_version_0(index: Index, tmp_path: Path, installer: str):
    """As a checkout does, or a pre-release."""
    project = index.project
    more = copy(index, tmp_path / "wheels")
    text = PYPROJECT.replace('version = "1.0"', 'version = "3.1.dev4"')
    root = Path(shutil.copytree(project.root, tmp_path / "project"))
    (root / "pyproject.toml").write_text(text, "utf-8")
    built = Project(root, project.cache).build(WAZCACHE_TARGET="any")
    site = tmp_path / "site"
    installed = more.install(installer, site, str(built.wheel))
    assert (installed["demo"], installed["demo_wasmtime"]) == ("3.1.dev4", "0")
    ran = run_python(LOAD, site, XDG_CACHE_HOME=str(tmp_path / "home"))
    assert ran.output.splitlines()[-1] == "42 False"


def test_an_old_package_gets_its_own_companion(index: Index, tmp_path: Path):
    project = index.project
    more = copy(index, tmp_path / "wheels")
    root = Path(shutil.copytree(project.root, tmp_path / "project"))
    text = PYPROJECT.replace('version = "1.0"', 'version = "2.0.post7"')
    (root / "pyproject.toml").write_text(text, "utf-8")
    Index(more.folder, Project(root, project.cache)).build()
    newest = more.install("uv", tmp_path / "newest", "demo")
    assert (newest["demo"], newest["demo_wasmtime"]) == ("2.0.post7", "49.2.0.post7")
    older = more.install("uv", tmp_path / "older", "demo<2", "wasmtime<49")
    assert (older["demo"], older["demo_wasmtime"]) == ("1.0", "48.1.0")


def test_a_platform_without_companions_gets_version_0(index: Index, tmp_path: Path):
    words = ["uv", "pip", "install", "--dry-run", "--python-platform", "aarch64-apple-darwin"]
    words += ["--python", sys.executable, "--target", str(tmp_path / "site")]
    words += ["--find-links", str(index.folder), "demo"]
    done = subprocess.run(
        [sys.executable, "-m", *words], text=True, stderr=subprocess.PIPE, check=True,
    )  # fmt: skip
    assert " + demo-wasmtime==0\n" in done.stderr


@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_name_behind_wasmtimes_in_the_alphabet_is_resolved_like_any_other(
    tmp_path: Path, installer: str
):
    """hatchling sorts requirements, and uv decides about them in their order."""
    project = Project(tmp_path / "project", tmp_path / "cache")
    text = PYPROJECT.replace("demo-wasmtime", "zoo-wasmtime").replace(
        '["47", "48", "49"]', '["48"]'
    )
    project.write("pyproject.toml", text)
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", ANSWER)
    made = Index(tmp_path / "wheels", project)
    made.build()
    installed = made.install(installer, tmp_path / "site", "demo")
    assert (installed["zoo_wasmtime"], installed["wasmtime"]) == ("48.1.0", "48.0.0")


def test_hatch_builds_companions_in_an_environment_of_its_own(isolated: IsolatedProject):
    isolated.write("pyproject.toml", PYPROJECT)
    folder = isolated.root.parent / "made by hatch"
    done = isolated.run("hatch", "build", "-t", "wazcache", folder)
    assert done.status == 0, done.output
    tags = ".".join(TARGETS[TARGET].platform_tags)
    assert {path.name for path in folder.iterdir()} == {
        "demo-1.0-py3-none-any.whl", "demo_wasmtime-0-py3-none-any.whl",
        *(f"demo_wasmtime-{major}.1.0-py3-none-{tags}.whl" for major in (47, 48, 49)),
    }  # fmt: skip


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_front_end_that_builds_one_wheel_puts_the_artifacts_into_the_package(
    isolated: IsolatedProject, front_end: str
):
    """Nobody has published companions of a checkout."""
    isolated.write("pyproject.toml", PYPROJECT)
    built = isolated.build_with(front_end)
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    (engine,) = engines(built.read("demo/_wazcache.json"))
    assert engine.partition(".")[0] == newest("wasmtime>=44").partition(".")[0]
