"""Finished wheels of any backend, compiled: the promises of `compile_wheels`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.project.options import read_config
from hatch_wazcache.report import Report
from tests.support.projects import Built, Project
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET, members, ours, precompiled, unpack

STOCK = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]
"""
HOOK = """
[tool.hatch.build.hooks.wazcache]
assets = ["demo/**/*.wasm"]
"""


class Compiled:
    """Compiles wheels in this process, with a cache of its own."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self.cache = cache
        self.folder = folder
        self.lines: list[str] = []
        self.report = self._report()

    def _report(self) -> Report:
        return Report(self.lines.append, self.lines.append)

    def __call__(self, *wheels: Path, in_place: bool = False, **options: Any) -> list[Path]:
        self.report = self._report()
        table = {"assets": ["**/*.wasm"], "cache-dir": str(self.cache)}
        table |= {name.replace("_", "-"): value for name, value in options.items()}
        config = read_config(table, "option", {}, self.folder)
        opened = [FinishedWheel(wheel) for wheel in wheels]
        folder = None if in_place else self.folder
        try:
            return compile_wheels(opened, lambda _wheel: config, folder, self.report)
        finally:
            for wheel in opened:
                wheel.close()


@pytest.fixture
def compiled(project: Project, tmp_path: Path) -> Compiled:
    return Compiled(project.cache, tmp_path / "wheelhouse")


@pytest.fixture
def stock(project: Project) -> Path:
    """The wheel that hatchling makes without a hook."""
    project.write("pyproject.toml", STOCK)
    project.write("demo/a.wasm", ANSWER)
    project.write("demo/sub/b.wasm", tiny("b"))
    return build(project)


def build(project: Project) -> Path:
    shutil.rmtree(project.root / "dist", ignore_errors=True)
    built = project.hatchling("-t", "wheel")
    assert built.wheel is not None, built.output
    return built.wheel


def test_the_compiled_wheel_and_the_hooks_wheel_are_the_same_bytes(
    project: Project, stock: Path, compiled: Compiled
):
    (made,) = compiled(stock, targets=["native"])
    project.write("pyproject.toml", STOCK.replace('g"]', 'g", "hatch-wazcache"]') + HOOK)
    hooks = build(project)
    assert made.name == hooks.name
    assert made.read_bytes() == hooks.read_bytes()


def test_a_compiled_wheel_loads_its_artifacts(stock: Path, compiled: Compiled, tmp_path: Path):
    (made,) = compiled(stock, targets=["native"])
    assert members(Built(0, "", made)) == {"demo/__init__.py", *ours("demo", "a", "sub/b")}
    loaded = precompiled(unpack(made, tmp_path / "site"))
    assert loaded == {f"demo/{name}.wasm": f"demo/{name}.{TARGET}.cwasm" for name in ("a", "sub/b")}
