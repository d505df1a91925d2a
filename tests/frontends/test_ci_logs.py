"""What reaches the log of a CI from real builds under each front end, and from commands.

pip hides the output of a build that works, unless it is called with -v; then it indents the lines.
uv, build and hatch show all lines as they are.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.github import commands
from tests.support.projects import Project, flat_setuptools_project
from tests.support.wheels import TARGET

FRONT_ENDS = {
    "pip": [
        "pip", "wheel", "-v", "--no-build-isolation", "--no-deps", "--no-index", "-w", "dist", "."
    ],
    "uv": ["uv", "build", "--wheel", "--no-build-isolation", "-o", "dist"],
    "build": ["build", "--no-isolation", "--wheel"],
    "hatchling": ["hatchling", "build", "-t", "wheel"],
}  # fmt: skip


@pytest.fixture
def github(tmp_path: Path) -> dict[str, str]:
    """The environment of a step of GitHub's, with the project as the workspace."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(tmp_path / "project"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }


def build_by(name: str, project: Project, environment: Mapping[str, str]) -> str:
    """Build a wheel; return the log, in which the CI has both streams."""
    done = subprocess.run(
        [sys.executable, "-m", *FRONT_ENDS[name]],
        cwd=project.root, env=project.env(**environment), check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout.decode()  # text=True would replace \r


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_build_on_github_has_a_group_and_a_warning_with_its_file(
    project: Project, github: dict[str, str], front_end: str
):
    project.requires("wasmtime>=48")
    log = build_by(front_end, project, github)
    names = [name for name, *_ in commands(log)]
    assert names == ["warning", "group", "endgroup"]
    (_, about, text), (_, _, title), _ = commands(log)
    assert about == {"title": "hatch-wazcache", "file": "pyproject.toml"}
    assert text.startswith("project.dependencies says wasmtime>=48")
    assert title == "wazcache: compiling 1 artifact"
    group = re.search(r"::group::(.*?)::endgroup::", log, re.DOTALL)[1]
    assert f"demo/a.wasm: compiled for {TARGET}" in group
    assert "1 compiled, 0 found in the cache" not in group


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_the_summary_has_the_wheels_that_stay_in_the_workspace(
    project: Project, github: dict[str, str], front_end: str, tmp_path: Path
):
    build_by(front_end, project, github)
    summary = tmp_path / "summary.md"
    if front_end == "pip":  # it builds in a temporary folder, also to install a wheel
        assert not summary.exists()
        return
    (wheel,) = (project.root / "dist").glob("*.whl")
    row = summary.read_text("utf-8").splitlines()[-1]
    shown = re.sub(r"&#(\d+);", lambda code: chr(int(code[1])), row)
    assert re.fullmatch(
        rf"\| {re.escape(wheel.name)} \| {TARGET} \| 48\.0\.0 \| 1 \| [\d.]+ kB \|", shown
    )


@pytest.mark.parametrize("front_end", ["build", "hatchling"])
def test_a_build_on_gitlab_has_a_section(project: Project, front_end: str):
    log = build_by(front_end, project, {"GITLAB_CI": "true"})
    start = re.search(r"\x1b\[0Ksection_start:\d+:(wazcache_\w+)\[collapsed=true\]\r\x1b\[0K", log)
    assert start, log
    assert re.search(rf"\x1b\[0Ksection_end:\d+:{start[1]}\r\x1b\[0K", log)
    assert "::" not in log


@pytest.mark.parametrize("front_end", ["pip", "uv"])
def test_a_section_that_pip_and_uv_would_change_is_left_out(project: Project, front_end: str):
    """pip makes a line break of the carriage return, and uv removes the escape character."""
    log = build_by(front_end, project, {"GITLAB_CI": "true"})
    assert f"demo/a.wasm: compiled for {TARGET}" in log
    assert "section_" not in log


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_a_build_elsewhere_has_plain_lines(project: Project, front_end: str, tmp_path: Path):
    project.requires("wasmtime>=48")
    environment = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    log = build_by(front_end, project, environment)
    assert commands(log) == []
    assert "section_" not in log
    assert "wazcache: warning: project.dependencies says wasmtime>=48" in log
    assert not (tmp_path / "summary.md").exists()


def test_a_build_that_finds_everything_has_no_group(project: Project, github: dict[str, str]):
    project.build()
    assert commands(project.build(**github).output) == []


def test_a_build_that_fails_ends_its_group(project: Project, github: dict[str, str]):
    project.write("demo/b.wasm", b"\0asm\1\0\0\0\x0a\x05\1\3\0\xff\x0b")
    built = project.build(**github)
    assert built.status != 0
    assert [name for name, *_ in commands(built.output)] == ["group", "endgroup"]


HOSTILE = "::warning::%0A::error::##[error]x"


def test_the_name_of_a_file_is_no_command(project: Project, github: dict[str, str]):
    folder = project.root / "demo" / HOSTILE
    folder.mkdir()
    (folder / "a.wasm").write_bytes((project.root / "demo" / "a.wasm").read_bytes())
    project.options('assets = ["demo/**/*.wasm"]')
    built = project.build(**github)
    assert built.status == 0, built.output
    assert [name for name, *_ in commands(built.output)] == ["group", "endgroup"]
    assert r"::warning::%0A::error::#\x23[error]x" in built.output
    wheel = str(built.wheel)
    for words in (["inspect", wheel], ["audit", wheel], ["list"], ["why", "a.wasm"], ["plan"]):
        for more in ([], ["--json"], ["-v"]):
            done = run(project, *words, *more, **github)
            assert commands(done.stdout + "\n" + done.stderr) == [], words


def test_a_broken_wheel_is_no_command(project: Project, github: dict[str, str]):
    wheel = project.root / "::error::x-1-py3-none-any.whl"
    wheel.write_bytes(b"nothing")
    for command in ("inspect", "audit", "compile"):
        done = run(project, command, wheel.name, **github)
        assert done.returncode != 0
        assert "error" in done.stdout + done.stderr
        assert commands(done.stdout + "\n" + done.stderr) == []


@pytest.mark.parametrize(
    "words",
    [
        ["audit", "a.whl", f"--{HOSTILE}"], ["keygen", HOSTILE], [HOSTILE], ["completion", HOSTILE],
        ["prune", "--max-size", HOSTILE], ["generate-ci", f"a\n{HOSTILE}"],
    ],
)  # fmt: skip
def test_a_wrong_word_on_the_command_line_is_no_command(
    project: Project, github: dict[str, str], words: list[str]
):
    done = run(project, *words, **github)
    assert done.returncode == 2
    assert r"#\x23[error]x" in done.stderr
    assert commands(done.stdout + "\n" + done.stderr) == []


def test_commands_have_groups_and_a_summary_too(
    project: Project, github: dict[str, str], tmp_path: Path
):
    wheel = project.build(WAZCACHE_TARGET="any").wheel
    done = run(project, "compile", str(wheel), "-w", "made", **github)
    assert done.returncode == 0, done.stderr
    assert [name for name, *_ in commands(done.stderr)] == ["group", "endgroup"]
    assert commands(done.stdout) == []
    assert TARGET.replace("_", "&#95;") in (tmp_path / "summary.md").read_text()
    done = run(project, "warm", "-q", WAZCACHE_DIR=str(tmp_path / "other"), **github)
    assert done.stderr == ""


# the summary of a step


def rows(summary: Path) -> list[list[str]]:
    """Return the cells of the only table in a summary, as a person sees them."""
    lines = summary.read_text("utf-8").splitlines()
    assert sum(line.startswith("### ") for line in lines) == 1
    shown = [re.sub(r"&#(\d+);", lambda code: chr(int(code[1])), line) for line in lines[5:]]
    return [line.strip("| ").split(" | ") for line in shown]


def test_all_wheels_of_the_builder_are_in_one_table(
    project: Project, github: dict[str, str], tmp_path: Path
):
    project.options('assets = ["demo/*.wasm"]\ntargets = ["native", "any"]')
    assert project.hatchling("-t", "wazcache", **github).status == 0
    native, pure = rows(tmp_path / "summary.md")
    assert {native[0], pure[0]} == {path.name for path in (project.root / "dist").glob("*.whl")}
    assert native[1:4] == [TARGET, "48.0.0", "1"]
    assert pure[1:4] == ["any", "-", "0"]


def test_a_package_and_its_companions_are_in_one_table(
    project: Project, github: dict[str, str], tmp_path: Path
):
    text = project.pyproject.replace("wasmtime>=48,<49", 'wasmtime>=48,<49", "demo-wasmtime')
    project.write("pyproject.toml", f'{text}targets = "native"\ncompanion = "demo-wasmtime"\n')
    assert project.hatchling("-t", "wazcache", **github).status == 0
    package, companion = rows(tmp_path / "summary.md")
    assert package[0].startswith("demo-1.0-")
    assert package[1] == "any"
    assert companion[0].startswith("demo_wasmtime-48.1.0-")
    assert companion[1:4] == [TARGET, "48.0.0", "1"]


def test_a_wheel_by_setuptools_has_a_group_and_a_row(github: dict[str, str], tmp_path: Path):
    made = flat_setuptools_project(tmp_path).build(**github)
    assert made.status == 0, made.output
    assert [name for name, *_ in commands(made.output)][-2:] == ["group", "endgroup"]
    ((name, *cells),) = rows(tmp_path / "summary.md")
    assert made.wheel is not None
    assert name == made.wheel.name
    assert cells[:3] == [TARGET, "48.0.0", "1"]


def test_an_editable_install_is_in_no_table(
    project: Project, github: dict[str, str], tmp_path: Path
):
    assert project.editable(**github).status == 0
    assert not (tmp_path / "summary.md").exists()
