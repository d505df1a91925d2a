"""A wheel with many kinds of assets, and its installations."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasmtime import wat2wasm

from tests.support.loading import OPTIONS, UNICODE
from tests.support.projects import PYPROJECT, Project
from tests.support.runtimes import build_runtime
from tests.support.wheels import unpack


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed; not to be changed."""
    return unpack(wheel, tmp_path_factory.mktemp("site"))


@pytest.fixture
def own_site(wheel: Path, tmp_path: Path) -> Path:
    """The wheel, installed for one test, which may change it."""
    return unpack(wheel, tmp_path / "site")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a runtime package: it has the loader and no assets."""
    return build_runtime(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def both(runtime: Path, wheel: Path, tmp_path: Path) -> Path:
    """The runtime and the package with the assets, installed for one test, which may change it.

    The package has no loader.
    """
    site = unpack(runtime, tmp_path / "site")
    (unpack(wheel, site) / "demo/_wazcache.py").unlink()
    return site
