"""ARCHITECTURE.md names paths that exist, and the package keeps the order of its layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGE = ROOT / "hatch_wazcache"
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:/|\.py|\.toml|(?<=/)run))`")
ROW = re.compile(r"^\| `([\w/.]+)` \|", re.MULTILINE)
LAYERS = ROW.findall(TEXT.partition("## The layers")[2].partition("\n## ")[0])


def layer(module: Path) -> str:
    """Name the layer of a module, as the page does."""
    first, *rest = module.relative_to(PACKAGE).parts
    return f"{first}/" if rest else first


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def imports(module: Path) -> frozenset[Path]:
    """Find the modules of the package that a module imports: at its head, late, or for types."""
    return frozenset(_imports(module)) - {module}


def _imports(module: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from _find(f"{node.module}.{alias.name}") or _find(node.module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _find(alias.name)


def _find(name: str) -> list[Path]:
    """Find a module of the package by its full name."""
    base = ROOT.joinpath(*name.split("."))
    found = [base.with_suffix(".py"), base / "__init__.py"]
    return [path for path in found if path.is_relative_to(PACKAGE) and path.is_file()]


@pytest.mark.parametrize("path", sorted(set(PATH.findall(TEXT))))
def test_every_path_in_it_exists(path):
    assert (PACKAGE / path).exists() or (ROOT / path).exists()


def test_it_names_many_paths():
    assert len(set(PATH.findall(TEXT))) > 40


def test_it_lists_every_layer_once():
    assert sorted(LAYERS) == sorted({layer(module) for module in modules()})


def test_imports_go_to_layers_above_only():
    order = {name: number for number, name in enumerate(LAYERS)}
    wrong = [
        f"{module.relative_to(ROOT)} imports {imported.relative_to(ROOT)}"
        for module in modules()
        for imported in imports(module)
        if order[layer(imported)] > order[layer(module)]
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imports(module) for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(str(path.relative_to(ROOT)) for path in error.args[1]))


def test_no_front_end_knows_another():
    folders = [
        path for path in (PACKAGE / "frontends").iterdir() if (path / "__init__.py").exists()
    ]
    assert len(folders) == 2
    for folder in folders:
        others = [other for other in folders if other != folder]
        for module in folder.rglob("*.py"):
            known = {path for path in imports(module) for other in others if other in path.parents}
            assert known == set()


def test_the_loader_imports_nothing_of_the_package():
    assert imports(PACKAGE / "resources" / "loader.py") == frozenset()


def test_temporary_files_are_made_by_the_modules_that_remove_leftovers():
    names = re.compile(r"\b(TemporaryDirectory|NamedTemporaryFile|mkdtemp|mkstemp)\b")
    found = [path.name for path in modules() if names.search(path.read_text("utf-8"))]
    assert found == ["loader.py"]  # which imports nothing of ours, and removes leftovers itself
