"""Variables, caches and disks that a build cannot work with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.marks import NO_MOUNT
from tests.support.projects import SetuptoolsProject
from tests.support.refusals import Refusing, needs_linux, powerless

# the environment


@pytest.mark.parametrize("value", ["", "soon", "1" * 30, "-" + "1" * 30])
def test_a_broken_source_date_epoch_is_refused(project: Refusing, value):
    project.refused(f"SOURCE_DATE_EPOCH = {value}: must be", SOURCE_DATE_EPOCH=value)


def test_a_broken_source_date_epoch_is_found_before_anything_is_compiled(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    message = project.refused("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH="soon")
    assert "compil" not in message


def test_variables_with_nonsense_are_named(project: Refusing):
    nonsense = {
        "WAZCACHE_TARGET": "everything",
        "WAZCACHE_STRICT": "maybe",
        "WAZCACHE_TIMEOUT": "never",
        "WAZCACHE_DIR": "~no such user",
    }
    project.refused(
        *(f'{name} = "{value}": must be ' for name, value in nonsense.items()), **nonsense
    )


@pytest.mark.parametrize("below", ["", "/cache"])
def test_a_cache_that_is_no_directory_is_named(project: Refusing, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    project.refused(f"{tmp_path}/file is not a directory", WAZCACHE_DIR=f"{tmp_path}/file{below}")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_cache_in_a_folder_of_other_things_leaves_them_alone(project: Refusing, tmp_path):
    """In a home, say, where a .gitignore would hide the packages of projects below."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "mine").write_text("mine")
    built = project.build(WAZCACHE_DIR=str(home))
    assert built.status == 0, built.output
    assert project.build(WAZCACHE_DIR=str(home)).output.count("0 compiled, 1 found") == 1
    assert not (home / ".gitignore").exists()
    assert (home / "mine").read_text() == "mine"


def test_a_cache_whose_path_is_too_long_does_not_stop_a_build(project: Refusing, tmp_path):
    built = project.build(WAZCACHE_DIR=str(tmp_path / ("x" * 300)))
    assert built.status == 0, built.output
    assert "wazcache: warning: the cache " in built.output


@needs_linux
def test_a_cache_in_a_closed_folder_does_not_stop_a_build(project: Refusing, tmp_path):
    project.python = powerless(tmp_path)
    (tmp_path / "closed").mkdir(mode=0)
    built = project.build(WAZCACHE_DIR=str(tmp_path / "closed/cache"))
    assert built.status == 0, built.output
    assert "wazcache: warning: the cache " in built.output


@needs_linux
@pytest.mark.parametrize("trouble", ["long path", "closed home"])
def test_strict_does_not_turn_trouble_with_the_cache_into_an_error(
    project: Refusing, tmp_path, trouble
):
    """It travels in the sdist, to machines that the author never sees."""
    project.append("strict = true\n")
    env = {"WAZCACHE_DIR": str(tmp_path / ("x" * 300))}
    if trouble == "closed home":
        project.python = powerless(tmp_path)
        (tmp_path / "closed").mkdir(mode=0)
        env = {"WAZCACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": str(tmp_path / "closed/home")}
    built = project.build(**env)
    assert built.status == 0, built.output
    assert built.output.count("new artifacts are not kept") == 1
    assert "strict is on" not in built.output


# where the wheel is to go


@needs_linux
def test_a_dist_that_cannot_be_written_is_refused(project: Refusing, tmp_path):
    project.python = powerless(tmp_path)
    (project.root / "dist").mkdir(mode=0o555)
    front = project.build
    if isinstance(project, SetuptoolsProject):  # whose backend has its own words for it
        front = partial(project.setup, "-q", "bdist_wheel")
    project.refused(f"{project.root}/dist: cannot be written: Permission denied", front=front)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip(NO_MOUNT)
    try:
        yield
    finally:
        if os.path.ismount(folder):
            subprocess.run(["umount", folder], check=True)


@needs_linux
@pytest.mark.parametrize("more", [-20_000, 20_000])
def test_a_full_disk_under_the_wheel_is_told(project: Refusing, more):
    """The disk is full while large members are copied, or while the rest is added."""
    project.write("demo/large.py", f"# {os.urandom(60_000).hex()}\n")
    dist = project.root / "dist"
    with small_disk(dist, len(project.good_wheel) + more):
        named = more > 0 and isinstance(project, SetuptoolsProject)
        wheel = "demo-1.0-py3-none-" if named else "the wheel cannot be written to "
        project.refused(str(dist), wheel, "No space left on device")
