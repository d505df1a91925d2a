"""A loader in the repository: wheels get that of this release, and nothing changes the file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from hatch_wazcache.engine.targets import native_target
from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.project.options import read_config
from hatch_wazcache.report import Report
from hatch_wazcache.resources import loader_text
from tests.support.projects import (
    Built,
    Project,
    SetuptoolsProject,
    flat_setuptools_project,
    run_python,
    unpack_sdist,
)
from tests.support.wheels import members, ours

OLD = b"# The loader of hatch-wazcache: generated into this package, do not edit.\nold = True\n"
LOADER = "demo/_wazcache.py"
SAID = f"wazcache: {LOADER}: is not the loader of this release of hatch-wazcache"


@pytest.fixture(params=["hatchling", "setuptools"])
def committed(
    request, project: Project, tmp_path: Path, warm: Callable[[Project], None]
) -> Project:
    """A project with an old loader."""
    made = project
    if request.param == "setuptools":
        made = flat_setuptools_project(tmp_path / "setuptools")
    else:
        made.append('\n[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    made.write(LOADER, OLD)
    warm(made)
    return made


def loader(project: Project) -> bytes:
    return (project.root / LOADER).read_bytes()


def test_a_build_replaces_it_in_the_wheel_and_says_that_it_is_old(committed):
    built = committed.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert built.read(LOADER) == loader_text()
    assert built.output.count(f"{SAID}; wheels get that one.") == 1
    assert "`hatch-wazcache init --update`" in built.output
    assert loader(committed) == OLD


def test_a_build_says_nothing_about_the_loader_of_this_release(committed):
    for text in (loader_text(), loader_text().replace(b"\n", b"\r\n")):
        committed.write(LOADER, text)
        built = committed.build()
        assert built.read(LOADER) == loader_text()
        assert SAID not in built.output


def test_an_old_one_is_no_error_where_strict_is_on(committed):
    """The sdist has it, and later releases of hatch-wazcache build from that."""
    built = committed.build(WAZCACHE_STRICT="1")
    assert built.status == 0, built.output
    assert SAID in built.output


def test_the_sdist_has_it_and_the_wheel_from_the_sdist_has_that_of_this_release(
    committed, tmp_path
):
    made = unpack_sdist(committed.sdist(), tmp_path / "sdist", committed.cache)
    assert loader(made) == OLD
    again = type(committed)(made.root, committed.cache)
    assert again.build().read(LOADER) == loader_text()


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_an_editable_install_leaves_it_and_says_that_it_is_old(committed, mode):
    words = [mode] if isinstance(committed, SetuptoolsProject) else []
    for _ in range(2):
        built = committed.editable(*words)
        assert built.status == 0, built.output
        assert SAID in built.output
        assert loader(committed) == OLD
    assert (committed.root / "demo/_wazcache.json").exists()


def test_install_leaves_it_and_init_renews_it(committed, monkeypatch):
    monkeypatch.setenv("WAZCACHE_DIR", str(committed.cache))
    for command in ("install", "init"):
        words = ["--yes"] if command == "init" else []
        assert main([command, "--project", str(committed.root), *words]) == 0
        assert loader(committed) == OLD
    assert main(["init", "--update", "--yes", "--project", str(committed.root)]) == 0
    assert loader(committed) == loader_text()
    assert SAID not in committed.build().output


def test_git_clean_and_a_fresh_checkout_keep_it(committed, tmp_path):
    def git(*words: str | Path) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words], cwd=committed.root, check=True, capture_output=True)

    git("init", "-q")
    committed.write(".gitignore", "_wazcache.*\ndist\nbuild\n*.egg-info\n")
    assert main(["init", "--yes", "--project", str(committed.root)]) == 0
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    before = committed.tree()
    assert LOADER in before
    assert committed.editable().status == 0
    assert "demo/_wazcache.json" in committed.tree()
    git("clean", "-fdX")
    assert committed.tree() == before
    git("clone", "-q", ".", tmp_path / "clone")
    assert (tmp_path / "clone" / LOADER).read_bytes() == OLD


def test_the_loader_that_init_writes_works_in_a_checkout_that_was_never_built(project):
    """With the settings of the engines in its code, which init has found."""
    code = "from wasmtime import Config, Engine\ndef engine():\n    config = Config()\n"
    code += "    config.consume_fuel = True\n    return Engine(config)\n"
    project.write("pyproject.toml", project.pyproject.partition("[tool.hatch")[0])
    project.write("demo/run.py", code)
    assert main(["init", "--yes", "--project", str(project.root)]) == 0
    load = "from demo._wazcache import *; from demo.run import engine as own; import wasmtime\n"
    load += "for one in engine(), own():\n    wasmtime.Store(one).set_fuel(9)\n"
    load += "    print(load_module('a.wasm', one), status('a.wasm', one))\n"
    ran = run_python(load, project.root)
    assert ran.status == 0, ran.output
    assert ran.output.count("Module object") == 2
    assert ran.output.count("nothing was built yet") == 2
    assert "Warning" not in ran.output
    assert project.build().status == 0


def test_compile_replaces_it_in_a_wheel_of_any_backend_and_says_that_it_is_old(project, tmp_path):
    text = project.pyproject.partition("[tool.hatch")[0].replace(', "hatch-wazcache"', "")
    project.write("pyproject.toml", text)
    project.write(LOADER, OLD)
    stock = project.build()
    assert stock.read(LOADER) == OLD
    lines: list[str] = []
    config = read_config({"assets": ["**/*.wasm"]}, "option", {}, tmp_path)
    config = config._replace(cache_dir=project.cache, targets=(native_target(),))
    with FinishedWheel(stock.wheel) as wheel:
        report = Report(lines.append, lines.append)
        (made,) = compile_wheels([wheel], lambda _wheel: config, tmp_path / "made", report)
    assert Built(0, "", made).read(LOADER) == loader_text()
    assert [line for line in lines if line.startswith(SAID)] != []
