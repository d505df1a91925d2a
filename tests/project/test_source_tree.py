"""Where the packages of a project are assumed to lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_wazcache.project.source_tree import assumed_layout, source_folder

NAME = {"project": {"name": "Demo.Tool"}}


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.mark.parametrize("folder", ["src", "python", "."])
def test_the_package_of_the_projects_name_is_found(tmp_path: Path, folder: str):
    write(tmp_path, f"{folder}/demo_tool/__init__.py", "tests/__init__.py")
    assert source_folder(tmp_path, NAME) == folder


@pytest.mark.parametrize(
    "tool",
    [
        {"uv": {"build-backend": {"module-root": "code", "module-name": "other"}}},
        {"pdm": {"build": {"package-dir": "code"}}},
        {"maturin": {"python-source": "code", "module-name": "other._native"}},
        {"poetry": {"packages": [{"include": "other", "from": "code"}]}},
    ],
    ids=lambda tool: next(iter(tool)),
)
def test_the_folder_in_the_options_comes_before_the_usual_ones(tmp_path: Path, tool: dict):
    write(tmp_path, "code/other/__init__.py", "src/other/__init__.py")
    assert source_folder(tmp_path, {**NAME, "tool": tool}) == "code"


def test_a_package_of_another_name_counts_if_no_other_is_there(tmp_path: Path):
    write(tmp_path, "python/other/__init__.py")
    assert source_folder(tmp_path, NAME) == "python"


@pytest.mark.parametrize(
    "tool", [{"poetry": "x"}, {"poetry": {"packages": ["x", 1]}}, {"uv": {"build-backend": 1}}]
)
def test_options_of_a_wrong_type_are_no_names(tmp_path: Path, tool: dict):
    assert source_folder(tmp_path, {"tool": tool}) == "."


def test_the_layout_has_the_python_files_without_builds_and_environments(tmp_path: Path):
    write(tmp_path, "src/demo/__init__.py", "src/demo/sub/b.py", "src/demo/a.wasm")
    write(tmp_path, "src/demo/__pycache__/c.py", "src/build/d.py", "src/.hidden/e.py")
    write(tmp_path, "src/venv/pyvenv.cfg", "src/venv/f.py", "tests/g.py")
    layout = assumed_layout(tmp_path, "src")
    assert sorted(layout.files.values()) == ["demo/__init__.py", "demo/sub/b.py"]


def test_the_layout_of_the_root_has_its_paths(tmp_path: Path):
    write(tmp_path, "demo/__init__.py", "dist/x.py")
    assert list(assumed_layout(tmp_path, ".").files.values()) == ["demo/__init__.py"]
