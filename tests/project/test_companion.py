"""A project must name its companion, so that installers install it."""

from __future__ import annotations

import pytest

from tests.support.projects import Project, SetuptoolsProject, flat_setuptools_project

OPTIONS = 'assets = ["demo/*.wasm"]\ncompanion = "demo-wasmtime"'
PROBLEM = (
    '.companion = "demo-wasmtime": no dependency names it, so no installer would install it; add '
    '"demo-wasmtime" to project.dependencies'
)


def with_companion(project: Project, dependencies: str, more: str = "") -> Project:
    project.options(OPTIONS)
    file = project.root / "pyproject.toml"
    old = 'dependencies = ["wasmtime>=48,<49"]'
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, f"dependencies = [{dependencies}]\n{more}"), "utf-8")
    return project


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_a_project_that_forgets_its_companion_gets_the_line_to_add(project: Project, kind: str):
    with_companion(project, '"wasmtime>=48,<49"')
    built = project.build() if kind == "wheel" else project.editable()
    assert built.status == 1
    assert f"tool.hatch.build.hooks.wazcache{PROBLEM}" in built.output
    assert "Traceback" not in built.output
    assert built.wheel is None


def test_setuptools_says_the_same(tmp_path):
    project: SetuptoolsProject = flat_setuptools_project(tmp_path)
    with_companion(project, '"wasmtime>=48,<49"')
    built = project.build()
    assert built.status == 1
    assert f"tool.wazcache{PROBLEM}" in built.output


@pytest.mark.parametrize(
    ("dependencies", "more"),
    [
        ('"wasmtime>=48,<49", "Demo.Wasmtime"', ""),
        ('"wasmtime>=48,<49", "demo-wasmtime; sys_platform != \'emscripten\'"', ""),
        ("", '[project.optional-dependencies]\nfast = ["wasmtime>=48,<49", "demo_wasmtime"]'),
    ],
)
def test_any_spelling_and_marker_and_extra_will_do(project: Project, dependencies, more):
    with_companion(project, dependencies, more)
    built = project.build()
    assert built.status == 0, built.output


@pytest.mark.parametrize("line", ["demo-wasmtime>=48", "demo-wasmtime @ file:///tmp/x.whl"])
def test_a_version_of_the_companion_is_refused(project: Project, line: str):
    """Each companion requires its package; a version here would leave the empty one out."""
    with_companion(project, f'"wasmtime>=48,<49", "{line}"')
    project.append("[tool.hatch.metadata]\nallow-direct-references = true\n")
    built = project.build()
    assert built.status == 1
    assert 'must be "demo-wasmtime", without a version' in built.output


@pytest.mark.parametrize("name", ["Demo", "demo"])
def test_the_files_of_a_companion_have_a_folder_of_their_own(project: Project, name: str):
    """The distribution is called demo-app, so that the companion may have the folder's name."""
    with_companion(project, '"wasmtime>=48,<49"')
    text = (project.root / "pyproject.toml").read_text("utf-8")
    text = text.replace("demo-wasmtime", name).replace('name = "demo"', 'name = "demo-app"')
    text = text.replace('"wasmtime>=48,<49"', f'"wasmtime>=48,<49", "{name}"')
    project.write("pyproject.toml", f'{text}[tool.hatch.build.targets.wheel]\ninclude = ["demo"]\n')
    built = project.build()
    assert built.status == 1
    assert (
        f'.companion = "{name}": must be another name: the companion\'s files are in the folder '
        f"{name}, and the project has files there"
    ) in built.output


def test_the_project_is_not_its_own_companion(project: Project):
    with_companion(project, '"wasmtime>=48,<49"')
    project.write(
        "pyproject.toml",
        (project.root / "pyproject.toml").read_text("utf-8").replace("demo-wasmtime", "Demo"),
    )
    built = project.build()
    assert built.status == 1
    assert '.companion = "Demo": must be another name than the project\'s own' in built.output


def test_wasmtime_itself_is_no_companion(project: Project):
    """Its companions would replace wasmtime for the users."""
    with_companion(project, '"wasmtime"')
    text = (project.root / "pyproject.toml").read_text("utf-8")
    project.write("pyproject.toml", text.replace("demo-wasmtime", "Wasmtime"))
    built = project.build()
    assert built.status == 1
    assert '.companion = "Wasmtime": must be another name than that of wasmtime' in built.output
