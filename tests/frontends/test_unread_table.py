"""Options in a table that the build backend does not read: a message when hatch-wazcache runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.projects import PYPROJECT, SETUPTOOLS_PYPROJECT, Project, SetuptoolsProject
from tests.support.wasm import tiny
from tests.support.wheels import members, ours

SHARED = "[tool.wazcache] has no effect: hatchling runs a build hook only if the hook has a table; "
ADD = "add [tool.hatch.build.hooks.wazcache] to pyproject.toml, which can be empty"
HOOKS = (
    "[tool.hatch.build.hooks.wazcache] has no effect: the build backend is setuptools.build_meta, "
    "which does not read this table; "
)
RENAME = "rename it to [tool.wazcache]"

VERSION = 'version = "1.0"\n'
OTHER_PLUGINS = {
    "build hook": (VERSION, "[tool.hatch.build.hooks.other]\n"),
    "metadata hook": (VERSION, "[tool.hatch.metadata.hooks.other]\n"),
    "version source": ('dynamic = ["version"]\n', '[tool.hatch.version]\nsource = "other"\n'),
}
PLUGIN = """\
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface
from hatchling.plugin import hookimpl
from hatchling.version.source.plugin.interface import VersionSourceInterface

class Build(BuildHookInterface):
    PLUGIN_NAME = "other"

class Metadata(MetadataHookInterface):
    PLUGIN_NAME = "other"
    def update(self, metadata):
        pass

class Version(VersionSourceInterface):
    PLUGIN_NAME = "other"
    def get_version_data(self):
        return {"version": "1.0"}

@hookimpl
def hatch_register_build_hook():
    return Build

@hookimpl
def hatch_register_metadata_hook():
    return Metadata

@hookimpl
def hatch_register_version_source():
    return Version
"""


def fill(project: Project) -> None:
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", tiny("a"))


@pytest.fixture
def hatch(tmp_path: Path) -> Project:
    """A project of hatchling with `[tool.wazcache]` alone."""
    project = Project(tmp_path / "project", tmp_path / "cache")
    fill(project)
    project.write(
        "pyproject.toml", PYPROJECT.replace("[tool.hatch.build.hooks.wazcache]", "[tool.wazcache]")
    )
    return project


@pytest.fixture
def setuptools(tmp_path: Path) -> SetuptoolsProject:
    """A project of setuptools with the table of the hatch hook alone."""
    project = SetuptoolsProject(tmp_path / "project", tmp_path / "cache")
    fill(project)
    text = SETUPTOOLS_PYPROJECT.replace("[tool.wazcache]", "[tool.hatch.build.hooks.wazcache]")
    project.write("pyproject.toml", text)
    return project


@pytest.mark.parametrize("kind", OTHER_PLUGINS)
@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_hatchling_warns_wherever_it_loads_a_plugin(hatch: Project, kind: str, target: str):
    version, table = OTHER_PLUGINS[kind]
    text = (hatch.root / "pyproject.toml").read_text()
    hatch.write("pyproject.toml", text.replace(VERSION, version) + table)
    hatch.write("../plugins/other_plugin.py", PLUGIN)
    entry_points = "[hatch]\nother = other_plugin\n"
    hatch.write("../plugins/other_plugin-1.dist-info/entry_points.txt", entry_points)
    hatch.write("../plugins/other_plugin-1.dist-info/METADATA", "Name: other_plugin\nVersion: 1\n")
    built = hatch.hatchling("-t", target, PYTHONPATH=str(hatch.root.parent / "plugins"))
    assert built.status == 0, built.output
    assert built.output.count(f"wazcache: warning: {SHARED}{ADD}") == 1, built.output
    hatch.append("[tool.hatch.build.hooks.wazcache]\n")
    built = hatch.hatchling("-t", target, PYTHONPATH=str(hatch.root.parent / "plugins"))
    assert built.status == 0, built.output
    assert "has no effect" not in built.output


def test_a_hook_table_in_hatch_toml_is_a_table(hatch: Project):
    hatch.write("hatch.toml", "[build.hooks.wazcache]\n")
    built = hatch.build()
    assert "has no effect" not in built.output
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert hatch.run("hatch_wazcache", "why", "a.wasm").status == 0


def test_a_hook_table_is_none_where_hatchling_reads_builds_from_hatch_toml(hatch: Project):
    hatch.append("[tool.hatch.build.hooks.wazcache]\n")
    hatch.write("hatch.toml", "[build]\nskip-excluded-dirs = true\n")
    done = hatch.run("hatch_wazcache", "why", "a.wasm")
    assert done.status == 1
    assert f"{SHARED}add [build.hooks.wazcache] to hatch.toml, which can be empty" in done.output
    hatch.write("hatch.toml", "[build.hooks.wazcache]\n")
    assert hatch.run("hatch_wazcache", "why", "a.wasm").status == 0


@pytest.mark.parametrize("command", [["warm"], ["why", "a.wasm"]])
@pytest.mark.parametrize("where", [".", "demo", "--project"])
def test_the_command_line_says_which_table_is_missing(
    hatch: Project, command: list[str], where: str
):
    words = [*command, "--project", str(hatch.root)] if where == "--project" else command
    hatch.root = hatch.root / ("demo" if where == "demo" else ".")
    done = hatch.run("hatch_wazcache", *words)
    assert done.status == 1
    assert f"{SHARED}{ADD}" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "hook",
    [
        "build_wheel",
        "build_sdist",
        "build_editable",
        "get_requires_for_build_wheel",
        "get_requires_for_build_sdist",
    ],
)
def test_setuptools_stops_with_one_message(setuptools: SetuptoolsProject, hook: str):
    words = "" if hook.startswith("get") else "'dist'"
    code = f"from setuptools import build_meta; build_meta.{hook}({words})"
    done = setuptools.run_python("-c", code)
    assert done.status != 0
    assert f"wazcache: {HOOKS}{RENAME}" in done.output
    assert "Traceback" not in done.output


def test_the_command_line_says_which_table_setuptools_reads(setuptools: SetuptoolsProject):
    done = setuptools.run("hatch_wazcache", "warm")
    assert done.status == 1
    assert RENAME in done.output


def test_a_hook_of_hatchling_that_runs_setuptools_is_left_alone(hatch: Project):
    hatch.append(
        "[tool.hatch.build.hooks.wazcache]\n[tool.hatch.build.hooks.custom]\npath = 'own.py'\n"
    )
    hatch.write(
        "own.py",
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\n"
        "class Own(BuildHookInterface):\n    def initialize(self, version, build_data):\n"
        "        import setuptools\n"
        "        setuptools.setup(name='x', script_args=['-q', 'build', '--build-base=out'],"
        " py_modules=[])\n",
    )
    built = hatch.build()
    assert built.output.count("1 compiled") == 1, built.output
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert not list((hatch.root / "out").rglob("*.cwasm"))
