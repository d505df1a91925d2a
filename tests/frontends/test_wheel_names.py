"""A wheel's name holds the earlier wheel, or the whole new one."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.projects import Project, flat_setuptools_project
from tests.support.wasm import tiny
from tests.support.wheels import TARGET
from tests.support.whole_wheels import assert_whole_wheels

LOOK = """\
import os, zipfile
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        {initialize}
    def finalize(self, version, build_data, artifact_path):
        {finalize}
"""
SEEN = "open('seen', 'w').write('\\n'.join(zipfile.ZipFile(artifact_path).namelist()))"


@pytest.fixture
def project(project: Project) -> Project:
    project.write("demo/a.wasm", tiny("a"))
    return project


def with_hook(
    project: Project, *, first: bool, initialize: str = "pass", finalize: str = "pass"
) -> None:
    """Add a build hook that runs before or after ours."""
    project.write("hatch_build.py", LOOK.format(initialize=initialize, finalize=finalize))
    ours, other = f"[{project.table}]", "[tool.hatch.build.hooks.custom]\n"
    if first:
        project.write("pyproject.toml", project.pyproject.replace(ours, other + ours))
    else:
        project.append(other)


@pytest.mark.parametrize("first", [True, False])
def test_a_hook_that_looks_at_the_wheel_sees_the_whole_wheel(project: Project, first: bool):
    with_hook(project, first=first, finalize=SEEN)
    built = project.build()
    assert built.status == 0, built.output
    seen = (project.root / "seen").read_text().splitlines()
    assert seen == zipfile.ZipFile(built.wheel).namelist()
    assert f"demo/a.{TARGET}.cwasm" in seen


@pytest.mark.parametrize("first", [True, False])
def test_a_hook_that_fails_in_finalize_leaves_the_whole_wheel(project: Project, first: bool):
    whole = project.build().wheel.read_bytes()
    shutil.rmtree(project.root / "dist")
    with_hook(project, first=first, finalize="os._exit(1)")
    assert project.build().status == 1
    (wheel,) = (project.root / "dist").glob("*")
    assert wheel.read_bytes() == whole


def test_a_build_that_is_refused_at_its_end_leaves_the_earlier_wheel(project: Project):
    earlier = project.build().wheel
    whole = earlier.read_bytes()
    with_hook(project, first=False, initialize="build_data['infer_tag'] = True")
    built = project.build()
    assert built.status == 1
    assert "wazcache must run last" in built.output
    assert [*(project.root / "dist").glob("*")] == [earlier]
    assert earlier.read_bytes() == whole


def test_the_files_of_hatchling_are_removed(project: Project, tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    assert project.build(TMPDIR=str(tmp_path / "tmp")).status == 0
    assert [*(tmp_path / "tmp").iterdir()] == []


def test_a_builder_of_another_kind_makes_the_same_wheel(project: Project):
    whole = project.build().wheel.read_bytes()
    without = "vars(self.build_config.builder).pop('write_data')"
    with_hook(project, first=False, initialize=without)
    built = project.build()
    assert built.status == 0, built.output
    assert built.wheel.read_bytes() == whole


@pytest.mark.parametrize("kind", ["hatchling", "setuptools"])
def test_two_trees_built_into_one_folder_at_once_are_not_mixed(
    project: Project, tmp_path: Path, kind: str
):
    if kind == "setuptools":
        project = flat_setuptools_project(tmp_path / "setuptools")
    assert_whole_wheels(project, 6)
