"""The sdist holds every asset, and no generated file."""

from __future__ import annotations

import pytest

from tests.support.environments import environment_with
from tests.support.layouts import LAYOUTS, built_layout
from tests.support.projects import Project, SetuptoolsProject, unpack_sdist
from tests.support.wasm import tiny
from tests.support.wheels import members


def names(sdist: Project) -> set[str]:
    """Name the files of an unpacked sdist."""
    return {path for path in sdist.tree() if path != "PKG-INFO"}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(name, tmp_path):
    project, from_tree = built_layout(name)
    sdist = unpack_sdist(project.sdist(), tmp_path / "sdist", project.cache)
    from_sdist = sdist.build()
    assert members(from_sdist) == LAYOUTS[name].wheel
    assert from_sdist.wheel.name == from_tree.wheel.name
    assert from_sdist.wheel.read_bytes() == from_tree.wheel.read_bytes()


def test_it_compiles_nothing_and_needs_no_wasmtime(project):
    project.python = environment_with("")
    sdist = unpack_sdist(project.sdist(), project.root.parent / "sdist", project.cache)
    assert names(sdist) == {"demo/__init__.py", "demo/a.wasm", "pyproject.toml"}
    assert not project.cache.exists()


@pytest.mark.parametrize("link", ["../vendor/a.wasm", "{root}/vendor/a.wasm", "hop.wasm"])
def test_it_holds_a_linked_asset_itself_since_a_link_may_lead_nowhere_later(project, link):
    asset = project.wasm("vendor/a.wasm")
    (project.root / "demo/a.wasm").unlink()
    (project.root / "demo/a.wasm").symlink_to(link.format(root=project.root))
    (project.root / "demo/hop.wasm").symlink_to("../vendor/a.wasm")
    project.options('assets = ["demo/a.wasm"]')
    project.append('[tool.hatch.build.targets.sdist]\nonly-include = ["demo/__init__.py"]\n')
    sdist = unpack_sdist(project.sdist(), project.root.parent / "sdist", project.cache)
    assert names(sdist) == {"demo/__init__.py", "demo/a.wasm", "pyproject.toml"}
    assert not (sdist.root / "demo/a.wasm").is_symlink()
    assert (sdist.root / "demo/a.wasm").read_bytes() == asset.read_bytes()


@pytest.mark.parametrize("selection", ["", 'only-include = ["demo", "cache"]', 'include = ["*"]'])
def test_it_holds_no_cache_that_lies_inside_the_project(project, selection):
    project.options('assets = ["demo/*.wasm"]\ncache-dir = "cache"')
    project.append(f"[tool.hatch.build.targets.sdist]\n{selection}\n")
    project.environment["WAZCACHE_DIR"] = ""
    assert project.build().status == 0
    assert (project.root / "cache").is_dir()
    sdist = unpack_sdist(project.sdist(), project.root.parent / "sdist", project.cache)
    assert names(sdist) - {".gitignore"} == {"demo/__init__.py", "demo/a.wasm", "pyproject.toml"}


def test_a_module_of_the_projects_own_named_as_the_loader_is_in_it(project):
    project.write("demo/_wazcache.py", "# The loader of hatch-wazcache: committed\n")
    sdist = unpack_sdist(project.sdist(), project.root.parent / "sdist", project.cache)
    assert "demo/_wazcache.py" in names(sdist)


def test_it_needs_the_declared_assets(project):
    (project.root / "demo/a.wasm").unlink()
    built = project.hatchling("-t", "sdist")
    assert built.status != 0
    assert '"demo/*.wasm" matches no file' in built.output
    assert list((project.root / "dist").iterdir()) == []


@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            "a Git LFS pointer, not WebAssembly; run `git lfs pull`",
        ),
        (tiny("a")[:-1], "truncated or damaged"),
    ],
    ids=["empty", "a Git LFS pointer", "cut off"],
)
def test_it_is_refused_if_no_wheel_could_be_built_from_it(tmp_path, kind, content, message):
    project = kind(tmp_path / "project", tmp_path / "cache")
    project.write("pyproject.toml", project.pyproject)
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", content)
    project.write("demo/b.wasm", content)
    hatch = kind is Project
    built = project.hatchling("-t", "sdist") if hatch else project.backend("build_sdist")
    assert built.status != 0
    for name in ("demo/a.wasm", "demo/b.wasm"):
        assert f"wazcache: {name}: {message}" in built.output
    assert "Traceback" not in built.output
    assert list((project.root / "dist").glob("*.tar.gz")) == []
