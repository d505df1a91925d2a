"""`init` makes a project use hatch-wazcache: what it writes, what it shows, what it never does."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_wazcache.cli import main
from hatch_wazcache.resources import loader_text
from tests.support.paths import ROOT
from tests.support.projects import Project
from tests.support.refusals import needs_linux, powerless
from tests.support.terminals import Terminal
from tests.support.wasm import tiny

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HATCHLING = """\
[build-system]
requires = ["hatchling"]  # the backend
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
dependencies = [
  "wasmtime>=44",  # what we test with
]
"""
PLAIN = HATCHLING.replace("  # the backend", "").replace('"demo"', '"gofmt"')
SETUPTOOLS = HATCHLING.replace('"hatchling"]', '"setuptools>=77"]').replace(
    "hatchling.build", "setuptools.build_meta"
)
OTHER = HATCHLING.replace('"hatchling"]', '"uv_build"]').replace("hatchling.build", "uv_build")
LOADS = """\
import wasmtime as w
from wasmtime import Config, Engine, Module as M
from wasmtime.component import Component

def run(path, data):
    engine = Engine()
    M.from_file(engine, str(path))
    w.Module(engine, path.read_bytes())
    w.Module(engine, data)
    M(engine, "(module)")
    M.deserialize_file(engine, "x.cwasm")
    with Component.from_file(path=path, engine=e):
        pass
"""


class Tree:
    """A project, and `init` in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def write(self, path: str, content: str | bytes = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in found
            if ".git" not in path.parts
        }

    def init(self, *words: str, status: int = 0) -> str:
        """Run the command; return the output and the errors."""
        self._capsys.readouterr()
        done = main(["init", "--project", str(self.root), *words])
        out, err = self._capsys.readouterr()
        assert done == status, out + err
        return out + err

    def refused(self, *words: str) -> str:
        """Run the command, which ends with an error and changes nothing."""
        before = self.files()
        text = self.init(*words, status=1)
        assert self.files() == before
        return text

    def toml(self, name: str = "pyproject.toml") -> dict:
        return tomllib.loads((self.root / name).read_text("utf-8"))


@pytest.fixture
def empty(tmp_path, capsys) -> Tree:
    (tmp_path / "project").mkdir()
    return Tree(tmp_path / "project", capsys)


@pytest.fixture
def tree(empty: Tree) -> Tree:
    """A flat hatchling project with one asset, in a git repository."""
    empty.write("pyproject.toml", HATCHLING)
    empty.write("demo/__init__.py")
    empty.write("demo/a.wasm", tiny("a"))
    (empty.root / ".git").mkdir()
    return empty


# what it writes


def test_hatchling_gets_loader_options_requirement_and_ignored_files(tree):
    said = tree.init("--yes")
    assert (tree.root / "demo/_wazcache.py").read_bytes() == loader_text()
    assert (tree.root / "pyproject.toml").read_text() == HATCHLING.replace(
        '["hatchling"]', '["hatchling", "hatch-wazcache"]'
    ) + '\n[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]\n'
    ignored = (tree.root / ".gitignore").read_text().splitlines()
    assert ignored[1:] == ["*.cwasm", "_wazcache.json"]
    assert ignored[0].startswith("# ")
    assert "demo/_wazcache.py: new, the loader" in said
    assert '  +requires = ["hatchling", "hatch-wazcache"]  # the backend' in said
    assert said.endswith("3 files written\n")


def test_setuptools_gets_the_shared_table_and_the_extra(tree):
    tree.write("pyproject.toml", SETUPTOOLS)
    tree.init("--yes")
    toml = tree.toml()
    assert toml["build-system"]["requires"] == ["setuptools>=77", "hatch-wazcache[setuptools]"]
    assert toml["tool"] == {"wazcache": {"assets": ["demo/*.wasm"]}}


@pytest.mark.parametrize(
    "backend",
    [
        "uv_build", "flit_core.buildapi", "poetry.core.masonry.api", "pdm.backend", "maturin",
        "scikit_build_core.build", "mesonpy", "unknown.backend",
    ],
)  # fmt: skip
def test_another_backend_gets_options_and_loader_only_and_the_command_to_call(tree, backend):
    text = OTHER.replace("uv_build", backend)
    tree.write("pyproject.toml", text)
    said = tree.init("--yes")
    assert (tree.root / "pyproject.toml").read_text() == (
        text + '\n[tool.wazcache]\nassets = ["demo/*.wasm"]\n'
    )
    assert not (tree.root / ".gitignore").exists()
    assert "hatch-wazcache compile dist/*.whl" in said


def test_a_backend_in_the_tree_that_is_based_on_setuptools_counts_as_setuptools(tree):
    text = SETUPTOOLS.replace('"setuptools.build_meta"', '"backend"\nbackend-path = ["."]')
    tree.write("pyproject.toml", text)
    tree.init("--yes")
    assert "hatch-wazcache[setuptools]" in tree.toml()["build-system"]["requires"]


@pytest.mark.parametrize("setup", ["setup.py", "setup.cfg"])
def test_a_project_without_pyproject_toml_gets_one_that_keeps_its_backend(empty, setup):
    empty.write(setup, "install_requires = wasmtime\n")
    empty.write("demo/__init__.py")
    empty.write("demo/a.wasm", tiny("a"))
    empty.init("--yes")
    assert empty.toml() == {
        "build-system": {"requires": ["setuptools", "hatch-wazcache[setuptools]"]},
        "tool": {"wazcache": {"assets": ["demo/*.wasm"]}},
    }


def test_without_git_no_gitignore_is_written(tree):
    (tree.root / ".git").rmdir()
    tree.init("--yes")
    assert not (tree.root / ".gitignore").exists()


def test_a_second_run_has_nothing_to_do(tree):
    tree.init("--yes")
    before = tree.files()
    assert "nothing to do" in tree.init("--yes")
    assert "nothing to do" in tree.init()  # there is nothing to ask
    assert tree.files() == before


def test_several_packages_get_a_loader_each_and_one_pattern(tree):
    shutil.rmtree(tree.root / "demo")
    tree.write("src/demo/__init__.py")
    tree.write("src/demo/data/a.wasm", tiny("a"))
    tree.write("src/demo/b.wasm", tiny("b"))
    tree.write("src/demo/sub/__init__.py")
    tree.write("src/demo/sub/c.wasm", tiny("c"))
    tree.init("--yes")
    hook = tree.toml()["tool"]["hatch"]["build"]["hooks"]["wazcache"]
    assert hook["assets"] == ["src/demo/**/*.wasm", "src/demo/sub/*.wasm"]
    loaders = [name for name in tree.files() if name.endswith("_wazcache.py")]
    assert sorted(loaders) == ["src/demo/_wazcache.py", "src/demo/sub/_wazcache.py"]


def test_a_wasm_that_force_include_puts_into_a_package_is_an_asset_of_it(tree):
    (tree.root / "demo/a.wasm").rename(tree.root / "a.wasm")
    include = '[tool.hatch.build.targets.wheel.force-include]\n"rust/out" = "demo/out"\n'
    tree.write("pyproject.toml", f"{HATCHLING}\n{include}")
    tree.write("rust/out/a.wasm", tiny("a"))
    said = tree.init("--yes")
    hook = tree.toml()["tool"]["hatch"]["build"]["hooks"]["wazcache"]
    assert hook == {"assets": ["rust/out/*.wasm"]}
    assert (tree.root / "demo/_wazcache.py").exists()
    assert "a.wasm: is in no package, so it is no asset" in said


def test_wasm_files_of_tests_are_no_assets(tree):
    tree.write("pyproject.toml", SETUPTOOLS)
    tree.write("tests/__init__.py")
    tree.write("tests/b.wasm", tiny("b"))
    tree.init("--yes")
    assert tree.toml()["tool"]["wazcache"]["assets"] == ["demo/*.wasm"]
    assert not (tree.root / "tests/_wazcache.py").exists()


def test_a_wasm_that_is_generated_later_gets_a_place_and_a_line_says_so(tree):
    (tree.root / "demo/a.wasm").unlink()
    tree.write("demo/run.py", LOADS)
    said = tree.init("--yes")
    hook = tree.toml()["tool"]["hatch"]["build"]["hooks"]["wazcache"]
    assert hook["assets"] == ["demo/**/*.wasm"]
    assert (tree.root / "demo/_wazcache.py").exists()
    assert 'no file matches "demo/**/*.wasm" yet: generate the .wasm' in said


def test_without_a_wasm_and_without_one_package_for_it_nothing_is_written(tree):
    tree.write("pyproject.toml", SETUPTOOLS)
    (tree.root / "demo/a.wasm").unlink()
    tree.write("other/__init__.py")
    assert "the packages are demo, other. Put the .wasm into its package" in tree.refused("--yes")


def test_a_wasm_outside_of_every_package_is_an_error_that_names_it(tree):
    (tree.root / "demo/a.wasm").rename(tree.root / "a.wasm")
    assert "a.wasm: is not in a Python package" in tree.refused("--yes")


# the options that are there


def test_the_options_of_the_project_are_kept_and_decide_where_the_loader_goes(tree):
    table = '\n[tool.hatch.build.hooks.wazcache]\nassets = ["demo/**"]\nloader = "demo/rt/_rt.py"\n'
    text = HATCHLING.replace('["hatchling"]', '["hatchling", "Hatch_Wazcache>=0.1"]') + table
    tree.write("pyproject.toml", text.replace("demo/**", "demo/rt/*.wasm"))
    tree.write("demo/rt/__init__.py")
    (tree.root / "demo/a.wasm").rename(tree.root / "demo/rt/a.wasm")
    before = tree.files()["pyproject.toml"]
    tree.init("--yes")
    assert tree.files()["pyproject.toml"] == before
    assert tree.files()["demo/rt/_rt.py"] == loader_text()
    assert "_rt.json" in tree.files()[".gitignore"].decode()


def test_a_runtime_package_without_assets_gets_its_loader(tree):
    (tree.root / "demo/a.wasm").unlink()
    table = '\n[tool.hatch.build.hooks.wazcache]\nloader = "demo/_wazcache.py"\n'
    tree.write("pyproject.toml", HATCHLING + table)
    tree.write("demo/run.py", LOADS)
    said = tree.init("--yes")
    assert tree.files()["demo/_wazcache.py"] == loader_text()
    assert "    load_module(path, engine)\n" in said
    assert "nothing to do" in tree.init()


def test_a_package_that_ships_for_a_runtime_gets_the_requirement_on_it_and_no_loader(tree):
    table = '\n[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]\n'
    text = HATCHLING.replace('"wasmtime>=44",  # what we test with', '"packaging",') + table
    tree.write("pyproject.toml", f'{text}runtime = "example-runtime~=1.0"\n')
    tree.write("demo/run.py", LOADS + "c = Config()\nc.consume_fuel = True\nEngine(c)\n")
    said = tree.init("--yes")
    assert tree.toml()["project"]["dependencies"] == ["packaging", "example-runtime~=1.0"]
    assert "demo/_wazcache.py" not in tree.files()
    assert "this engine" not in said
    assert "nothing to do" in tree.init()


def test_no_loader_is_written_where_the_options_say_so(tree):
    table = '\n[tool.wazcache]\nassets = ["demo/*.wasm"]\nloader = false\n'
    tree.write("pyproject.toml", SETUPTOOLS + table)
    tree.write("demo/run.py", LOADS)
    said = tree.init("--yes")
    assert "demo/_wazcache.py" not in tree.files()
    assert "load_module" not in said


def test_options_in_the_shared_table_get_the_hooks_table_that_hatchling_needs(tree):
    shared = '\n[tool.wazcache]\nassets = ["demo/*.wasm"]\n'
    tree.write("pyproject.toml", HATCHLING + shared)
    tree.init("--yes")
    assert tree.toml()["tool"]["hatch"]["build"]["hooks"] == {"wazcache": {}}
    assert "nothing to do" in tree.init()


def test_options_go_to_hatch_toml_if_hatchling_reads_builds_from_there(tree):
    tree.write("hatch.toml", "[build]\nskip-excluded-dirs = true\n")
    tree.init("--yes")
    assert tree.toml("hatch.toml")["build"]["hooks"] == {"wazcache": {"assets": ["demo/*.wasm"]}}
    assert "tool" not in tree.toml()
    assert "nothing to do" in tree.init()


def test_hatchling_needs_no_plugin_and_no_version_to_be_asked(tree):
    text = HATCHLING.replace('version = "1.0"', 'dynamic = ["version", "readme"]')
    more = '\n[tool.hatch.version]\nsource = "vcs"\n[tool.hatch.metadata.hooks.vcs]\n'
    tree.write("pyproject.toml", text + more)
    tree.init("--yes")
    assert "demo/_wazcache.py" in tree.files()


def test_files_that_hatchling_does_not_find_are_an_error(tree):
    tree.write("pyproject.toml", HATCHLING.replace('"demo"', '"another"'))
    assert "Unable to determine which files to ship" in tree.refused("--yes")


def test_wrong_options_are_named_and_nothing_is_written(tree):
    tree.write("pyproject.toml", HATCHLING + "\n[tool.hatch.build.hooks.wazcache]\nasets = 1\n")
    said = tree.refused("--yes")
    assert "tool.hatch.build.hooks.wazcache.asets" in said
    assert "tool.hatch.build.hooks.wazcache.assets" in said


def test_a_table_that_setuptools_does_not_read_is_named(tree):
    table = '\n[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]\n'
    tree.write("pyproject.toml", SETUPTOOLS + table)
    assert "rename it to [tool.wazcache]" in tree.refused("--yes")


# comments and layout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('requires = [\n  "hatchling",  # the backend\n]', '"hatch-wazcache",\n]'),
        ('requires = [\n    "hatchling" # the backend\n]', '"hatch-wazcache"\n]'),
        ("requires = ['hatchling']", "['hatchling', \"hatch-wazcache\"]"),
    ],
)
def test_comments_and_layout_of_lists_stay(tree, before, after):
    tree.write("pyproject.toml", HATCHLING.replace('requires = ["hatchling"]', before))
    tree.init("--yes")
    text = (tree.root / "pyproject.toml").read_text()
    assert after in text
    assert text.count("# the backend") == HATCHLING.count("# the backend") + before.count("#")
    assert tree.toml()["build-system"]["requires"] == ["hatchling", "hatch-wazcache"]


def test_inline_tables_stay_inline(tree):
    text = 'build-system = {requires = ["hatchling"], build-backend = "hatchling.build"}  # one\n'
    tree.write("pyproject.toml", text + HATCHLING.partition("\n\n")[2])
    tree.init("--yes")
    first = (tree.root / "pyproject.toml").read_text().splitlines()[0]
    assert first == text.strip().replace('"hatchling"]', '"hatchling", "hatch-wazcache"]')


def test_line_ends_of_windows_stay(tree):
    tree.write("pyproject.toml", HATCHLING.replace("\n", "\r\n"))
    tree.write(".gitignore", "dist\r\n")
    tree.init("--yes")
    for name in ("pyproject.toml", ".gitignore"):
        data = tree.files()[name]
        assert data.count(b"\n") == data.count(b"\r\n")
    assert "nothing to do" in tree.init()


def test_lines_of_gitignore_keep_their_ends(tree):
    tree.write("pyproject.toml", SETUPTOOLS)
    tree.write(".gitignore", b"dist\r\nbuild\n\xff\n")
    tree.init("--yes")
    assert tree.files()[".gitignore"].startswith(b"dist\r\nbuild\n\xff\n\r\n# ")


def test_a_file_without_a_last_line_end_gets_one(tree):
    tree.write("pyproject.toml", HATCHLING.rstrip())
    tree.write(".gitignore", "dist")
    tree.init("--yes")
    assert b"]\n\n[tool.hatch.build.hooks.wazcache]\n" in tree.files()["pyproject.toml"]
    assert tree.files()[".gitignore"].startswith(b"dist\n\n# ")


def test_tables_that_cannot_be_added_are_left_to_the_user(tree):
    tree.write("pyproject.toml", "tool.hatch = {build = {}}\n" + HATCHLING)
    said = tree.refused("--yes")
    assert "pyproject.toml: cannot be changed without harm to its other lines" in said
    assert "  [tool.hatch.build.hooks.wazcache]" in said


def test_a_file_that_is_not_toml_is_named(tree):
    tree.write("pyproject.toml", "[project\n")
    assert f"{tree.root / 'pyproject.toml'}: " in tree.refused("--yes")


@pytest.mark.parametrize("value", ['"hatchling"', '["a b"]', "{}"])
def test_requirements_that_are_no_list_are_named(tree, value):
    tree.write("pyproject.toml", HATCHLING.replace('["hatchling"]', value))
    said = tree.refused("--yes")
    assert f"build-system.requires in pyproject.toml is {value}: must be a list of" in said


def test_dependencies_that_are_no_list_are_named(tree):
    tree.write("pyproject.toml", SETUPTOOLS.partition("dependencies")[0] + 'dependencies = "a"\n')
    assert "project.dependencies in pyproject.toml: must be a list" in tree.refused("--yes")


def test_without_tomlkit_the_lines_are_shown_with_the_command_that_has_it(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    said = tree.refused("--yes")
    assert 'pyproject.toml: add "hatch-wazcache" to build-system.requires' in said
    assert "pyproject.toml: add at the end:" in said
    assert "uvx --from 'hatch-wazcache[init]' hatch-wazcache init" in said


def test_without_tomlkit_the_rest_is_written_once_the_lists_are_complete(tree, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    tree.write(
        "pyproject.toml", HATCHLING.replace('["hatchling"]', '["hatchling", "hatch-wazcache"]')
    )
    tree.init("--yes")
    assert "demo/_wazcache.py" in tree.files()
    assert "nothing to do" in tree.init()


# the requirement on wasmtime


def test_a_project_without_dependencies_gets_the_oldest_wasmtime_of_the_loader(tree):
    text = HATCHLING.partition("dependencies")[0]
    tree.write("pyproject.toml", text + '\n[project.urls]\nHomepage = "https://example.org"\n')
    tree.init("--yes")
    assert tree.toml()["project"]["dependencies"] == ["wasmtime>=36"]
    assert tree.toml()["project"]["urls"] == {"Homepage": "https://example.org"}


def test_a_component_needs_a_newer_one(tree):
    tree.write("demo/a.wasm", b"\0asm\x0d\0\x01\0")
    tree.write("pyproject.toml", HATCHLING.replace("wasmtime>=44", "packaging"))
    tree.init("--yes")
    assert tree.toml()["project"]["dependencies"] == ["packaging", "wasmtime>=39"]


def test_a_requirement_in_an_extra_is_enough(tree):
    extra = '[project.optional-dependencies]\npreview = ["wasmtime>=20"]\n'
    tree.write("pyproject.toml", f"{HATCHLING.replace('wasmtime>=44', 'packaging')}\n{extra}")
    tree.init("--yes")
    assert tree.toml()["project"]["dependencies"] == ["packaging"]


def test_a_dependency_that_may_require_wasmtime_is_named_and_nothing_is_added(tree):
    # A distribution that nobody has installed, so that nobody knows what it requires.
    tree.write("pyproject.toml", HATCHLING.replace("wasmtime>=44", "nobody-has-this~=1.96"))
    said = tree.init("--yes")
    assert tree.toml()["project"]["dependencies"] == ["nobody-has-this~=1.96"]
    assert "does not name wasmtime: unless one of nobody-has-this requires it" in said


@pytest.mark.parametrize(
    ("setup", "is_said"), [("install_requires=['wasmtime']", False), ("setup()", True)]
)
def test_dynamic_dependencies_are_looked_for_in_the_other_files(tree, setup, is_said):
    text = SETUPTOOLS.partition("dependencies")[0] + 'dynamic = ["dependencies"]\n'
    tree.write("pyproject.toml", text)
    tree.write("setup.py", setup)
    said = tree.init("--yes")
    assert ('add "wasmtime>=36" to setup.py' in said) is is_said


def test_poetrys_own_dependencies_count(tree):
    text = OTHER.replace("uv_build", "poetry.core.masonry.api").partition("[project]")[0]
    tree.write("pyproject.toml", f'{text}[tool.poetry.dependencies]\nwasmtime = "^44"\n')
    assert "wasmtime>=" not in tree.init("--yes")


# .gitignore


def git(tree: Tree, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=tree.root, capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.fixture
def repository(tree: Tree) -> Tree:
    (tree.root / ".git").rmdir()
    git(tree, "init", "-q")
    return tree


@pytest.mark.parametrize(
    "line",
    [
        "_wazcache.py", "**/_wazcache.py", "/demo/_wazcache.py", "demo/_wazcache.py",
        "_wazcache.*", "demo/_waz*",
    ],
)  # fmt: skip
def test_a_loader_that_git_ignored_is_ignored_no_more(repository, line):
    repository.write(".gitignore", f"dist\n{line}\n")
    repository.init("--yes")
    assert git(repository, "check-ignore", "demo/_wazcache.py") == ""
    for name in ("demo/_wazcache.json", "demo/a.x86_64-linux.cwasm"):
        assert git(repository, "check-ignore", name)
    assert "nothing to do" in repository.init()


@pytest.mark.parametrize("place", [".git/info/exclude", "../.gitignore"])
def test_a_pattern_outside_of_the_project_is_overruled(tree, place):
    (tree.root / ".git").rmdir()
    where = tree.root.parent if place.startswith("..") else tree.root
    subprocess.run(["git", "init", "-q"], cwd=where, check=True)
    tree.write(place, "_wazcache*\n")
    assert "git ignores it" not in tree.init("--yes")
    assert tree.files()[".gitignore"].endswith(b"\n!_wazcache.py\n")
    assert git(tree, "check-ignore", "demo/_wazcache.py") == ""
    assert "nothing to do" in tree.init()


def test_a_loader_that_git_still_ignores_is_named_with_the_line_that_does_it(repository):
    repository.write("demo/.gitignore", "_waz*.py\n")
    said = repository.init("--yes")
    assert "demo/_wazcache.py: git ignores it, as demo/.gitignore:1: _waz*.py says" in said


def test_nothing_is_added_where_git_ignores_the_files_by_other_patterns(repository):
    repository.write(".gitignore", "demo/*.cwasm\n*wazcache.json\n")
    before = repository.files()[".gitignore"]
    repository.init("--yes")
    assert repository.files()[".gitignore"] == before


def test_a_loader_named_by_its_path_is_taken_out_of_the_file(repository):
    repository.write(".gitignore", "dist\n/demo/_wazcache.py\n*.cwasm\n_wazcache.json\n")
    repository.init("--yes")
    assert repository.files()[".gitignore"] == b"dist\n*.cwasm\n_wazcache.json\n"


def test_a_cwasm_of_the_project_is_not_ignored(tree):
    tree.write("demo/own.cwasm", b"own")
    tree.init("--yes")
    assert tree.files()[".gitignore"].decode().splitlines()[1:] == ["_wazcache.json"]


# the code that loads


def test_it_shows_each_line_that_loads_wasm_and_what_to_put_there(tree):
    tree.write("demo/run.py", LOADS)
    tree.write("demo/text.py", "Module.from_file(1, 2)  # not wasmtime's\n")
    tree.write("demo/broken.py", "import wasmtime\nModule(\n")
    said = tree.init("--dry-run").partition("These lines load .wasm files")[2].splitlines()
    shown = [line.strip() for line in said[1:]]
    for line, replacement in {
        "demo/run.py:7: M.from_file(engine, str(path))": "load_module(path, engine)",
        "demo/run.py:8: w.Module(engine, path.read_bytes())": "load_module(path, engine)",
        "demo/run.py:9: w.Module(engine, data)": 'load_module("a.wasm", engine)',
        "demo/run.py:11: M.deserialize_file(engine, 'x.cwasm')": 'load_module("a.wasm", engine)',
        "demo/run.py:12: Component.from_file(path=path, engine=e)": "load_component(path, e)",
    }.items():
        place = shown.index(line)
        function = replacement.partition("(")[0]
        assert shown[place + 1 : place + 3] == [
            f"from demo._wazcache import {function}", replacement,
        ]  # fmt: skip
    assert len([line for line in shown if line.startswith("demo/")]) == 5
    assert "A path that may lead to a file of your users needs `foreign=True`." in shown


def test_where_a_line_may_load_one_of_several_assets_their_names_are_shown(tree):
    for name in "bcdef":
        tree.write(f"demo/{name}.wasm", tiny(name))
    tree.write("demo/run.py", LOADS)
    said = tree.init("--dry-run")
    assert '    load_module("NAME.wasm", engine)\n' in said
    assert "NAME.wasm stands for one of a.wasm, b.wasm, c.wasm, d.wasm, e.wasm, …." in said


def test_packages_in_a_folder_that_only_setuptools_knows_are_imported_by_their_name(tree):
    tree.write("pyproject.toml", SETUPTOOLS + '[tool.setuptools]\npackage-dir = {"" = "lib"}\n')
    (tree.root / "lib").mkdir()
    (tree.root / "demo").rename(tree.root / "lib/demo")
    tree.write("lib/demo/sub/__init__.py", LOADS)
    tree.write("lib/demo/sub/b.wasm", tiny("b"))
    said = tree.init("--yes")
    assert "    from demo.sub._wazcache import load_module\n" in said
    assert tree.files()["lib/demo/_wazcache.py"] == loader_text()


@pytest.mark.filterwarnings("error")
def test_odd_code_is_read_without_warnings(tree):
    tree.write("demo/run.py", 'import wasmtime\nwasmtime.Module(e, "\\d" and data)\n1 is 1\n')
    assert 'load_module("a.wasm", e)' in tree.init("--dry-run")


def test_settings_that_all_engines_have_become_the_profile(tree):
    code = "from wasmtime import *\nfrom wasmtime import Config, Engine\n"
    for name in "ab":
        code += f"def {name}():\n    with open('x'):\n        cfg = Config()\n"
        code += "    cfg.consume_fuel = True\n    cfg.cache = True\n    return Engine(cfg)\n"
    tree.write("demo/run.py", code)
    tree.init("--yes")
    hook = tree.toml()["tool"]["hatch"]["build"]["hooks"]["wazcache"]
    assert hook["profiles"] == {"default": {"consume-fuel": True}}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("    Engine()\n", "(consume-fuel = true)"),
        (
            "    if a:\n        c.epoch_interruption = True\n    Engine(c)\n",
            "epoch-interruption varies",
        ),
        ("    c.epoch_interruption = a is None\n    Engine(c)\n", "epoch-interruption varies"),
    ],
)
def test_settings_that_engines_differ_in_are_left_to_the_user(tree, more, said):
    code = "from wasmtime import Config, Engine\ndef f(a):\n    c = Config()\n"
    tree.write("demo/run.py", f"{code}    c.consume_fuel = True\n    Engine(c)\n{more}")
    shown = tree.init("--yes")
    assert "profiles" not in tree.toml()["tool"]["hatch"]["build"]["hooks"]["wazcache"]
    assert "demo/run.py:5: this engine has settings of its own (consume-fuel = true" in shown
    assert said in shown


def test_a_profile_that_the_options_lack_is_named_each_time(tree):
    code = "from wasmtime import Config, Engine\nc = Config()\nc.consume_fuel = True\nEngine(c)\n"
    tree.write("demo/run.py", code)
    table = '\n[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]\n'
    tree.write("pyproject.toml", HATCHLING + table)
    for _ in range(2):
        said = tree.init("--yes")
        assert "demo/run.py:4: this engine has settings of its own (consume-fuel = true)" in said
    profile = "\n[tool.hatch.build.hooks.wazcache.profiles.fuel]\nconsume-fuel = true\n"
    tree.write("pyproject.toml", HATCHLING + table + profile)
    assert "this engine" not in tree.init("--yes")


def test_engines_without_settings_need_no_profile(tree):
    tree.write("demo/run.py", "import wasmtime\nwasmtime.Engine()\nwasmtime.Engine(given)\n")
    said = tree.init("--yes")
    assert "this engine" not in said
    assert "profiles" not in tree.toml()["tool"]["hatch"]["build"]["hooks"]["wazcache"]


# it asks


def test_without_a_terminal_it_asks_for_yes_and_changes_nothing(tree):
    said = tree.refused()
    assert "nothing was changed: there is no terminal to ask; --yes makes these changes" in said
    assert "demo/_wazcache.py: new" in said


def test_a_dry_run_changes_nothing(tree):
    before = tree.files()
    assert "nothing was changed (--dry-run)" in tree.init("--dry-run", "--yes")
    assert tree.files() == before


def test_json_has_the_changes_and_what_is_left(tree):
    tree.write("demo/run.py", LOADS)
    planned = json.loads(tree.init("--dry-run", "--json"))
    done = json.loads(tree.init("--yes", "--json"))
    assert planned["changed"] is False
    assert done["changed"] is True
    assert planned["changes"] == done["changes"]
    names = [Path(change["path"]).name for change in done["changes"]]
    assert names == ["_wazcache.py", ".gitignore", "pyproject.toml"]
    assert done["calls"][0]["replacement"] == "load_module(path, engine)"


def on_a_terminal(tree: Tree) -> Terminal:
    return Terminal([sys.executable, "-m", "hatch_wazcache", "init"], tree.root)


@pytest.mark.parametrize(
    ("typed", "status", "end"),
    [
        ("y\n", 0, "3 files written"), ("\n", 0, "nothing was changed"),
        ("\x04", 0, "nothing was changed"),
        ("\x03", 130, "[y/N] ^C\r\nhatch-wazcache: interrupted"),
    ],
)  # fmt: skip
def test_on_a_terminal_it_shows_the_changes_and_asks(tree, typed, status, end):
    before = tree.files()
    terminal = on_a_terminal(tree)
    terminal.wait_for("Write 3 files? [y/N] ")
    assert "demo/_wazcache.py: new, the loader" in terminal.output
    assert tree.files() == before
    terminal.type(typed)
    assert terminal.end() == status
    assert terminal.output.strip().endswith(end)
    assert (tree.files() == before) is (typed != "y\n")


def test_its_page_shows_what_it_says(tree):
    (block,) = re.findall(r"```console\n(.*?)```", (ROOT / "docs/init.md").read_text(), re.DOTALL)
    for name in tree.files():
        (tree.root / name).unlink()
    tree.write("pyproject.toml", re.sub(r"\[\n.*\n\]", '["wasmtime>=44"]', PLAIN))
    tree.write(".gitignore", "dist\n")
    code = "\n" * 6 + "def load(engine):\n    return Module.from_file(engine, str(WASM))\n"
    tree.write("src/gofmt/__init__.py", f"from wasmtime import Module{code}")
    tree.write("src/gofmt/gofmt.wasm", tiny("a"))
    terminal = on_a_terminal(tree)
    terminal.wait_for("[y/N] ")
    terminal.type("y\n")
    assert terminal.end() == 0
    shown = block.partition("\n")[2].splitlines()
    assert [line.rstrip() for line in terminal.output.splitlines()] == shown


# all or nothing


def test_a_file_that_is_not_a_loader_in_its_place_is_named(tree):
    own = tree.write("demo/_wazcache.py", "own = 1\n")
    said = tree.refused("--yes")
    assert f"its loader would replace {own}, a file that is not from hatch-wazcache" in said


def test_a_package_that_leads_out_of_the_project_is_refused(tree, tmp_path):
    (tree.root / "demo").rename(tmp_path / "outside")
    (tree.root / "demo").symlink_to(tmp_path / "outside")
    tree.write("pyproject.toml", SETUPTOOLS)
    said = tree.refused("--yes")
    assert "leads out of the project's root" in said
    assert sorted(os.listdir(tmp_path / "outside")) == ["__init__.py", "a.wasm"]


def test_a_linked_package_inside_the_project_gets_its_loader(tree):
    (tree.root / "lib").mkdir()
    (tree.root / "demo").rename(tree.root / "lib/demo")
    (tree.root / "src").mkdir()
    (tree.root / "src/demo").symlink_to("../lib/demo")
    tree.write("pyproject.toml", SETUPTOOLS)
    tree.init("--yes")
    assert tree.toml()["tool"]["wazcache"]["assets"] == ["src/demo/*.wasm"]
    assert (tree.root / "lib/demo/_wazcache.py").is_file()
    assert "nothing to do" in tree.init()


def run_powerless(tree: Tree, tmp_path: Path) -> str:
    """Run the command as a user who may not write everywhere, and check that it fails."""
    before = tree.files()
    done = subprocess.run(
        [powerless(tmp_path), "-m", "hatch_wazcache", "init", "--yes"],
        cwd=tree.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert tree.files() == before
    return done.stderr


@needs_linux
@pytest.mark.parametrize("folder", ["demo", "."])
def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_changed(tree, tmp_path, folder):
    path = tree.root / folder
    path.chmod(0o555)
    assert run_powerless(tree, tmp_path) == (
        f"hatch-wazcache: {path}: cannot be written: Permission denied; nothing was changed\n"
    )
    path.chmod(0o755)


@needs_linux
def test_a_file_that_cannot_be_written_is_named_and_nothing_is_changed(tree, tmp_path):
    path = tree.root / "pyproject.toml"
    path.chmod(0o444)
    assert f"{path}: cannot be written: Permission denied" in run_powerless(tree, tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupt_or_a_full_disk_in_the_middle_leaves_nothing(tree, monkeypatch, error):
    """The last of three files cannot get its name: the disk's answer, at the worst moment."""
    from hatch_wazcache.util import temporary_files

    tree.write(".gitignore", "dist\n").chmod(0o640)
    place, placed = temporary_files.place, []

    def interrupted(path, file, final):
        placed.append(final)
        if len(placed) == 3:
            raise error
        place(path, file, final)

    monkeypatch.setattr(temporary_files, "place", interrupted)
    before = tree.files()
    tree.init("--yes", status=130 if error is KeyboardInterrupt else 1)
    assert [path.name for path in placed[:3]] == ["_wazcache.py", ".gitignore", "pyproject.toml"]
    assert tree.files() == before
    assert (tree.root / ".gitignore").stat().st_mode & 0o777 == 0o640


def test_files_keep_their_modes_and_links_stay_links(tree):
    (tree.root / "pyproject.toml").rename(tree.root / "real.toml")
    (tree.root / "pyproject.toml").symlink_to("real.toml")
    (tree.root / "real.toml").chmod(0o600)
    tree.init("--yes")
    assert (tree.root / "pyproject.toml").is_symlink()
    assert (tree.root / "real.toml").stat().st_mode & 0o777 == 0o600
    assert "tool" in tree.toml()


# --update


def test_update_renews_the_loaders_and_nothing_else(tree):
    tree.write("demo/_wazcache.py", "# The loader of hatch-wazcache: old\n")
    before = tree.files()
    assert "demo/_wazcache.py: is not the loader of this release" in tree.init("--dry-run")
    tree.init("--update", "--yes")
    assert tree.files() == before | {"demo/_wazcache.py": loader_text()}
    assert "nothing to do" in tree.init("--update")


def test_update_says_nothing_about_other_commands(tree):
    tree.write("pyproject.toml", OTHER)
    tree.write("demo/_wazcache.py", "# The loader of hatch-wazcache: old\n")
    said = tree.init("--update", "--yes")
    assert said == "demo/_wazcache.py: changed, the loader\n1 file written\n"


def test_init_alone_does_not_renew_a_loader(tree):
    old = tree.write("demo/_wazcache.py", "# The loader of hatch-wazcache: old\n")
    assert "`hatch-wazcache init --update` renews it" in tree.init("--yes")
    assert old.read_text().endswith("old\n")


def test_line_ends_of_windows_do_not_make_a_loader_old(tree):
    tree.init("--yes")
    tree.write("demo/_wazcache.py", loader_text().replace(b"\n", b"\r\n"))
    assert "nothing to do" in tree.init("--update")
    assert "nothing to do" in tree.init()


def test_update_without_a_committed_loader_says_how_to_get_one(tree):
    assert "no package has a committed loader; `hatch-wazcache init` writes one" in (
        tree.refused("--update", "--yes")
    )


# the project


def test_it_finds_the_project_from_a_folder_below(tree, monkeypatch, capsys):
    monkeypatch.chdir(tree.root / "demo")
    assert main(["init", "--dry-run"]) == 0
    assert "demo/_wazcache.py: new" in capsys.readouterr().out


def test_a_folder_without_a_project_is_named(tmp_path, capsys, monkeypatch):
    assert main(["init", "--project", str(tmp_path)]) == 1
    assert "there is no pyproject.toml, setup.py or setup.cfg" in capsys.readouterr().err


@pytest.mark.parametrize("backend", [HATCHLING, SETUPTOOLS, OTHER])
def test_no_code_of_the_project_runs(tree, backend):
    hooks = "[tool.hatch.metadata.hooks.custom]\n[tool.hatch.build.hooks.custom]\n"
    version = '[tool.hatch.version]\nsource = "code"\npath = "demo/run.py"\n'
    text = backend.replace('version = "1.0"', 'dynamic = ["version", "readme"]')
    tree.write("pyproject.toml", f"{text}\n{hooks}{version}")
    code = f"import pathlib, wasmtime\npathlib.Path({str(tree.root / 'ran')!r}).touch()\n"
    for name in ("setup.py", "hatch_build.py", "demo/__init__.py", "demo/run.py"):
        tree.write(name, code)
    tree.init("--yes")
    assert "demo/_wazcache.py" in tree.files()
    assert "ran" not in tree.files()


def test_the_loader_of_an_editable_install_becomes_a_committed_file(project: Project, capsys):
    """From then on, no install and no `clean` removes it."""
    project.append('\n[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    assert project.editable().status == 0
    tree = Tree(project.root, capsys)
    said = tree.init("--yes")
    assert "demo/_wazcache.json: changed" in said
    assert project.editable().status == 0
    assert project.hatchling("-t", "wheel", "--clean-only").status == 0
    assert (project.root / "demo/_wazcache.py").read_bytes() == loader_text()
    assert not (project.root / "demo/_wazcache.json").exists()


ENDED = """
import os, signal, sys
from pathlib import Path
from hatch_wazcache.adoption.changes import Change, make_changes
from hatch_wazcache.util import temporary_files

place = temporary_files.place

def ended_meanwhile(*args):
    os.kill(os.getpid(), signal.SIGTERM)
    place(*args)

temporary_files.place = ended_meanwhile
make_changes([Change(Path(name), None, b"new") for name in sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_does_not_leave_half_of_the_changes(tmp_path: Path):
    files = [tmp_path / "a", tmp_path / "b"]
    done = subprocess.run([sys.executable, "-c", ENDED, *files], check=False)
    assert done.returncode == -signal.SIGTERM
    assert sorted(tmp_path.iterdir()) == files
