"""`check` looks at a project before it is committed. It is also a hook of pre-commit."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from hatch_wazcache.resources import loader_text
from tests.support.commands import answer, refused, run, said, tree
from tests.support.paths import ROOT
from tests.support.projects import Project


def problems(project: Project, *words: str) -> list[str]:
    """Return the problems that a check finds; it finds some."""
    *lines, last = said(project, "check", *words, status=3).splitlines()
    assert f"{len(lines)} problem" in last
    return lines


def test_a_good_project_has_no_problem(project: Project):
    assert said(project, "check") == "1 .wasm file and 0 committed loaders checked: 0 problems\n"
    (project.root / "demo" / "_wazcache.py").write_bytes(loader_text())
    assert answer(project, "check")["projects"] == [
        {"project": ".", "assets": 1, "loaders": 1, "problems": []}
    ]


def test_a_wrong_option_is_a_problem_with_its_path(project: Project):
    project.append('compresion = 1\ntargets = "x86_64-linx"\n')
    first, second = problems(project)
    assert "tool.hatch.build.hooks.wazcache.compresion" in first + second
    assert "did you mean x86_64-linux?" in first + second


def test_a_table_that_no_build_reads_is_a_problem(project: Project):
    text = project.pyproject.replace("tool.hatch.build.hooks.wazcache", "tool.wazcache")
    project.write("pyproject.toml", text)
    (only,) = problems(project)
    assert "has no effect" in only


def test_a_pointer_of_git_lfs_is_a_problem(project: Project):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    project.write("demo/a.wasm", pointer)
    assert problems(project) == [
        "demo/a.wasm: a Git LFS pointer, not WebAssembly; run `git lfs pull`"
    ]


def test_an_asset_that_is_cut_off_is_a_problem(project: Project):
    path = project.root / "demo" / "a.wasm"
    path.write_bytes(path.read_bytes()[:-1])
    (only,) = problems(project)
    assert only.startswith("demo/a.wasm: truncated or damaged")


def test_a_missing_asset_is_a_problem_unless_a_build_generates_it(project: Project):
    project.options('assets = ["demo/*.wasm", "demo/generated/*.wasm"]')
    (only,) = problems(project)
    assert '"demo/generated/*.wasm" matches no file' in only
    assert said(project, "check", "--generated").startswith("1 .wasm file ")


def test_a_loader_of_another_release_is_a_problem(project: Project):
    loader = project.root / "demo" / "_wazcache.py"
    loader.write_bytes(loader_text().replace(b"\n", b"\r\n"))  # git has changed its line ends
    assert "1 committed loader checked: 0 problems" in said(project, "check")
    loader.write_bytes(loader_text() + b"# older\n")
    (only,) = problems(project)
    assert only.startswith("demo/_wazcache.py: is not the loader of this release")
    said(project, "init", "--update", "--yes")
    assert "0 problems" in said(project, "check")


def test_the_loader_of_an_editable_install_is_not_committed(project: Project):
    assert project.editable().status == 0
    assert (project.root / "demo" / "_wazcache.py").exists()
    assert said(project, "check").startswith("1 .wasm file and 0 committed loaders ")


def test_all_problems_are_named_at_once(project: Project):
    project.write("demo/b.wasm", b"")
    project.write("demo/c.wasm", b"nothing")
    project.write("demo/_wazcache.py", loader_text() + b"# older\n")
    assert len(problems(project)) == 3


def test_several_projects_are_checked_by_their_folders(project: Project, tmp_path: Path):
    other = Project(tmp_path / "other", project.cache)
    other.write("pyproject.toml", project.pyproject)
    (only,) = problems(project, ".", str(other.root))
    assert only.startswith(f"{other.root}: ")
    assert "there is no pyproject.toml with" in refused(project, "check", str(tmp_path))


@pytest.mark.parametrize("backend", ["setuptools.build_meta", "uv_build", "flit_core.buildapi"])
def test_it_works_with_every_build_backend(project: Project, backend: str):
    project.write(
        "pyproject.toml",
        f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n[project]\nname = "demo"\n'
        'version = "1"\n[tool.wazcache]\nassets = ["demo/*.wasm"]\n',
    )
    assert "0 problems" in said(project, "check")


def test_a_check_writes_nothing_runs_no_code_and_asks_no_environment(project: Project):
    project.append("\n[tool.hatch.build.hooks.custom]\npath = 'bad.py'\n")
    project.append("\n[tool.hatch.version]\npath = 'bad.py'\n")
    project.write("bad.py", "raise SystemExit('it ran')\n")
    before = tree(project.root)
    assert "0 problems" in said(project, "check", WAZCACHE_TARGET="nonsense")
    assert tree(project.root) == before
    assert not project.cache.exists()


def test_a_check_takes_less_time_than_a_build_that_finds_everything(project: Project):
    assert project.build().status == 0

    def seconds(call) -> float:
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
        return min(times)

    assert seconds(lambda: run(project, "check")) < 3 * seconds(project.build)


def test_the_hook_of_pre_commit_calls_a_command_that_exists():
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    assert "  entry: hatch-wazcache check\n" in hooks
    assert "pass_filenames: false" in hooks


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_a_pyproject_that_is_no_file_is_one_message(project: Project):
    path = project.root / "pyproject.toml"
    path.unlink()
    os.mkfifo(path)
    for words in (["check"], ["generate-ci", "github", "-p", "."]):
        message = refused(project, *words)
        assert message.count("pyproject.toml") == 1
        assert "is a pipe, not a file" in message
    path.unlink()
    path.mkdir()
    message = refused(project, "check")
    assert message.count("pyproject.toml") == 1
    assert "Errno" not in message
