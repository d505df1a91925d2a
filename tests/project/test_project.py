"""Warnings about a project as a whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.engine_requirement import EngineRequirement
from hatch_wazcache.project.options import read_config
from hatch_wazcache.project.packages import Layout
from hatch_wazcache.project.project import Project
from hatch_wazcache.project.pyproject import read_pyproject
from tests.support import projects
from tests.support.options import TABLE

ROOT = Path("/project").absolute()


def warning(requires_python: str, **options: object) -> str | None:
    config = read_config({"assets": "a.wasm", **options}, TABLE, {}, ROOT)
    layout = Layout(ROOT, {}, str)
    requirement = EngineRequirement.of(["wasmtime>=48,<49"], {}, None)
    return Project("demo", config, layout, requirement, requires_python).check_python()


@pytest.mark.parametrize("admitted", [">=3.8", ">=3.7,<4", ">=3.8.1", "~=3.6", "<4", "!=3.8.*"])
def test_a_python_that_is_too_old_for_the_loader_brings_a_warning(admitted):
    text = warning(admitted)
    assert text is not None
    assert text.startswith(f'project.requires-python = "{admitted}" admits Python 3.')
    assert text.endswith('write ">=3.9"')


@pytest.mark.parametrize("admitted", ["", ">=3.9", ">=3.10,<3.13", "==3.12.*"])
def test_a_python_that_the_loader_supports_brings_no_warning(admitted):
    assert warning(admitted) is None


def test_a_package_without_a_loader_may_support_any_python():
    assert warning(">=3.7", loader=False) is None


def test_a_build_warns_of_a_python_that_is_too_old(project: projects.Project):
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace('">=3.9"', '">=3.8"'))
    built = project.build()
    assert built.status == 0, built.output
    assert built.output.count('wazcache: warning: project.requires-python = ">=3.8" admits') == 1


def test_a_pyproject_that_is_nested_without_end_is_an_error_that_names_it(tmp_path: Path):
    path = tmp_path / "pyproject.toml"
    path.write_text("x = " + "[" * 5000)
    with pytest.raises(WazcacheError, match=re.escape(str(path))):
        read_pyproject(tmp_path)
