"""The cache and the project of a command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.commands import answer, entries, refused, run, said
from tests.support.environments import environment_with
from tests.support.marks import as_root
from tests.support.projects import PYPROJECT, Project

# where the cache is


COMMANDS = (
    ["info"], ["list"], ["why", "a.wasm"], ["verify"], ["prune"], ["prune", "--ci"],
    ["prune", "--unused", "--dry-run"], ["clear"], ["dir"],
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_asking_makes_no_cache(filled: Project, words: list[str]):
    shutil.rmtree(filled.cache)
    assert answer(filled, *words)["cache"] == str(filled.cache)
    assert not filled.cache.exists()


def test_a_missing_cache_is_said_to_be_missing(filled: Project):
    shutil.rmtree(filled.cache)
    assert "(not created yet)" in said(filled, "info")
    assert said(filled, "list") == "the cache is empty\n"
    assert "the cache is empty" in refused(filled, "show", "abc")


@pytest.mark.parametrize("words", [*COMMANDS[:-1], ["warm"]], ids=" ".join)
def test_a_cache_that_others_can_write_is_refused(filled: Project, words: list[str]):
    filled.cache.chmod(0o777)
    assert "can be written by others" in refused(filled, *words)
    assert len(entries(filled)) == 4


@as_root
def test_a_cache_of_another_user_is_refused(filled: Project):
    os.chown(filled.cache, 1234, 1234)
    assert "belongs to another user" in refused(filled, "clear")
    assert len(entries(filled)) == 4


def test_a_cache_that_is_a_file_is_refused(filled: Project, tmp_path: Path):
    (tmp_path / "file").touch()
    message = refused(filled, "info", "--cache-dir", tmp_path / "file")
    assert f"{tmp_path / 'file'} is not a directory" in message


def test_the_option_is_stronger_than_the_variable_and_that_than_the_project(
    filled: Project, tmp_path: Path
):
    filled.append('cache-dir = "build/cache"\n')
    project = filled.root / "build" / "cache"
    assert said(filled, "dir", WAZCACHE_DIR="") == f"{project}\n"
    assert said(filled, "dir") == f"{filled.cache}\n"
    assert said(filled, "dir", "--cache-dir", "here") == f"{filled.root / 'here'}\n"
    assert said(filled, "--cache-dir", "here", "dir") == f"{filled.root / 'here'}\n"
    elsewhere = run(filled, "dir", cwd=tmp_path, WAZCACHE_DIR="").stdout.strip()
    assert elsewhere != str(project)
    assert Path(elsewhere).name == "wazcache"


def test_a_relative_variable_is_what_a_build_makes_of_it(filled: Project, tmp_path: Path):
    folder = filled.root / "demo"
    assert run(filled, "dir", cwd=folder, WAZCACHE_DIR="x").stdout == f"{filled.root / 'x'}\n"
    assert run(filled, "dir", cwd=tmp_path, WAZCACHE_DIR="x").stdout == f"{tmp_path / 'x'}\n"


def test_warm_takes_the_option_too(filled: Project, tmp_path: Path):
    said(filled, "warm", "--cache-dir", tmp_path / "another")
    assert list((tmp_path / "another").glob("wasmtime-*/*.zip"))


# which project


def test_the_project_is_found_from_below(filled: Project):
    done = run(filled, "why", "a.wasm", cwd=filled.root / "demo" / "sub")
    assert done.stdout.startswith("demo/a.wasm: hit")


def test_a_project_without_the_hook_is_passed_over(filled: Project):
    filled.write("tools/pyproject.toml", "[project]\nname = 'tools'\nversion = '1'\n")
    done = run(filled, "why", "a.wasm", cwd=filled.root / "tools")
    assert done.stdout.startswith("demo/a.wasm: hit")


def test_the_project_can_be_named(filled: Project, tmp_path: Path):
    for words in (("why", "a.wasm", "-p", "project"), ("--project", filled.root, "warm")):
        done = run(filled, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_project_is_needed(filled: Project, tmp_path: Path):
    for words in (["warm"], ["why", "a.wasm"]):
        done = run(filled, *words, cwd=tmp_path)
        assert done.returncode == 1
        assert "no pyproject.toml with the build hook wazcache" in done.stderr
    assert "there is no pyproject.toml" in refused(filled, "warm", "-p", tmp_path)
    filled.write("other/pyproject.toml", "[project]\nname = 'other'\nversion = '1'\n")
    assert "has no build hook wazcache" in refused(filled, "warm", "-p", filled.root / "other")


@pytest.mark.parametrize("words", [("warm",), ("why", "a.wasm")])
def test_the_engine_of_this_environment_is_needed(filled: Project, words: tuple[str, ...]):
    filled.python = environment_with("")
    assert "wasmtime is not installed in this environment; install the one" in refused(
        filled, *words
    )
    filled.python = environment_with("36.0.0")
    assert "wasmtime 36.0.0 is installed in this environment, but" in refused(filled, *words)


def test_a_wrong_configuration_is_one_message(filled: Project):
    filled.append("compresion = 3\n")
    assert "there is no such option" in refused(filled, "warm")
    filled.write("pyproject.toml", "[project\n")
    assert f"{filled.root / 'pyproject.toml'}: " in refused(filled, "warm")
    filled.write("pyproject.toml", PYPROJECT.replace('version = "1.0"', ""))
    assert f"{filled.root / 'pyproject.toml'}: " in refused(filled, "warm")
    filled.write("pyproject.toml", PYPROJECT.replace('name = "demo"', "name = 3"))
    assert f"{filled.root / 'pyproject.toml'}: " in refused(filled, "why", "a.wasm")


def test_a_plugin_that_is_not_installed_is_one_message(filled: Project):
    """Whoever only asks can do without; hatch itself would install what build-system requires."""
    filled.append("[tool.hatch.build.hooks.unknown]\n")
    assert "demo/a.wasm: hit" in said(filled, "why", "a.wasm")
    assert "Unknown build hook: unknown" in refused(filled, "warm")
    text = PYPROJECT.replace('version = "1.0"', 'dynamic = ["version"]')
    filled.write("pyproject.toml", f"{text}[tool.hatch.version]\nsource = 'unknown'\n")
    assert "demo/a.wasm: hit" in said(filled, "why", "a.wasm")
    assert "Unknown version source: unknown" in refused(filled, "warm")


def with_code(project: Project, ran: Path) -> Path:
    """Let the project's own code run when its metadata is read, and write a file."""
    pyproject = project.root / "pyproject.toml"
    text = pyproject.read_text().replace('version = "1.0"', 'version = "1.0"\ndynamic = ["urls"]')
    pyproject.write_text(text + "[tool.hatch.metadata.hooks.custom]\n")
    (project.root / "hatch_build.py").write_text(f"open({str(ran)!r}, 'w')\n")
    return pyproject


@as_root
def test_the_code_of_another_users_project_further_up_does_not_run(
    project: Project, tmp_path: Path
):
    """Such as a project in /tmp, for a command in a folder below."""
    pyproject = with_code(project, tmp_path / "ran")
    below = project.root / "below"
    below.mkdir()
    os.chown(pyproject, 1234, 1234)
    assert run(project, "prune", cwd=below).returncode == 0
    assert "name it with --project" in run(project, "why", "a.wasm", cwd=below).stderr
    assert not (tmp_path / "ran").exists()
    os.chown(below, 1234, 1234)
    assert "name it with --project" in run(project, "why", "a.wasm", cwd=below).stderr
    assert not (tmp_path / "ran").exists()
    run(project, "why", "a.wasm", "--project", "..", cwd=below)
    assert (tmp_path / "ran").exists()


@as_root
@pytest.mark.parametrize("part", [".", "pyproject.toml", "hatch_build.py", "setup.py"])
def test_the_code_of_another_users_project_runs_only_if_it_is_named(
    project: Project, tmp_path: Path, part: str
):
    with_code(project, tmp_path / "ran")
    for name in ("setup.py", "hatch_build.py"):
        project.write(name, f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    os.chown(project.root / part, 1234, 1234)
    for words in (["why", "a.wasm"], ["warm"], ["prune"]):
        message = run(project, *words).stderr
        assert "belongs to another user (uid 1234)" in message
        assert "--project ." in message
    assert not (tmp_path / "ran").exists()
    run(project, "why", "a.wasm", SUDO_UID="1234")
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    run(project, "why", "a.wasm", "--project", ".")
    assert (tmp_path / "ran").exists()


@as_root
def test_a_project_of_the_owner_of_the_home_directory_is_read(project: Project, tmp_path: Path):
    """In a container job of GitHub, root has the home directory and the files of another user."""
    os.chown(project.root, 1234, 1234)
    (tmp_path / "home").mkdir()
    os.chown(tmp_path / "home", 1234, 1234)
    assert run(project, "why", "a.wasm", HOME=str(tmp_path / "home")).returncode == 0
