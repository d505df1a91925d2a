"""Only users who can run code in the build anyway may write to a cache."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import wasmtime

from hatch_wazcache import CompilationCache
from hatch_wazcache.cache.trust import Trust
from tests.support.commands import run, said
from tests.support.marks import as_root
from tests.support.paths import ROOT
from tests.support.projects import Project
from tests.support.wasm import ANSWER, tiny

HIT = "0 compiled, 1 found"


def build_twice(project: Project, **env: str) -> str:
    """Build with a cache that is empty at first; return the output of the second build."""
    first, second = project.build(**env), project.build(**env)
    assert first.status == second.status == 0, first.output + second.output
    return second.output


# a container job of GitHub: the job is root, the home directory belongs to uid 1001


@pytest.fixture
def github(project: Project, tmp_path: Path) -> dict[str, str]:
    """The environment of such a job."""
    home = tmp_path / "github" / "home"
    home.mkdir(parents=True)
    os.chown(home, 1001, 1001)
    return {"HOME": str(home), "WAZCACHE_DIR": "", "XDG_CACHE_HOME": ""}


@as_root
def test_a_container_job_of_github_uses_the_cache_in_its_home(
    project: Project, github: dict[str, str]
):
    output = build_twice(project, **github)
    assert HIT in output
    assert "warning" not in output
    assert f"cache    {github['HOME']}" in said(project, "info", **github)


@as_root
@pytest.mark.parametrize("caller", [{"SUDO_UID": "1001"}, {"DOAS_USER": "me"}], ids=str)
def test_under_sudo_a_cache_in_the_callers_home_is_not_used(
    project: Project, github: dict[str, str], caller: dict[str, str]
):
    output = build_twice(project, **caller, **github)
    assert f"who owns {github['HOME']} (uid 1001)" in output
    assert "1 compiled" in output


# a job of GitLab's docker executor: umask 0, the project has mode 777, the cache lies in it


@pytest.fixture
def gitlab(project: Project) -> dict[str, str]:
    """The environment of such a job, with a cache that was unpacked with mode 777."""
    cache = project.root / ".cache" / "wazcache"
    cache.mkdir(parents=True)
    for folder in (project.root, cache.parent, cache):
        folder.chmod(0o777)
    return {"WAZCACHE_DIR": str(cache)}


def test_a_job_of_gitlab_uses_the_cache_in_its_project(project: Project, gitlab: dict[str, str]):
    output = build_twice(project, **gitlab)
    assert HIT in output
    assert "warning" not in output
    assert "0 broken" in said(project, "verify", **gitlab)


@as_root
def test_a_job_of_gitlab_uses_a_cache_that_another_user_has_unpacked(
    project: Project, gitlab: dict[str, str]
):
    os.chown(gitlab["WAZCACHE_DIR"], 1234, 1234)
    assert HIT in build_twice(project, **gitlab)


def test_a_cache_in_a_project_that_is_not_open_must_not_be_open_either(
    project: Project, gitlab: dict[str, str]
):
    project.root.chmod(0o755)
    output = build_twice(project, **gitlab)
    assert f"the cache {gitlab['WAZCACHE_DIR']} can be written by others" in output
    assert "1 compiled" in output
    refused = run(project, "verify", **gitlab)
    assert refused.returncode == 1
    assert "can be written by others" in refused.stderr


def test_a_cache_beside_an_open_project_is_as_open_as_the_project(project: Project):
    """Who can write to the folder above both can replace the project."""
    above = project.root.parent / "above"
    above.mkdir()
    moved = Project(Path(shutil.move(project.root, above / "project")), above / "cache")
    moved.cache.mkdir()
    for folder in (above, moved.cache):
        folder.chmod(0o777)
    assert HIT in build_twice(moved)


# a folder that the user trusts


def test_a_folder_that_the_user_trusts_by_name_is_used(project: Project):
    project.cache.mkdir()
    project.cache.chmod(0o777)
    output = build_twice(project)
    advice = f"if you trust it, set WAZCACHE_TRUST_DIR={project.cache}"
    assert advice in output
    assert advice in run(project, "list").stderr
    for trusted in (project.cache, project.cache.parent):
        shutil.rmtree(project.cache)
        project.cache.mkdir()
        project.cache.chmod(0o777)
        output = build_twice(project, WAZCACHE_TRUST_DIR=str(trusted))
        assert HIT in output
        assert "warning" not in output


def test_a_cache_that_is_not_trusted_is_one_warning_under_strict_too(project: Project):
    project.cache.mkdir()
    project.cache.chmod(0o777)
    built = project.build(WAZCACHE_STRICT="1")
    assert built.status == 0, built.output
    assert built.output.count("new artifacts are not kept") == 1


@pytest.mark.parametrize("named", ["", "/nowhere", "1"])
def test_trust_in_another_folder_changes_nothing(project: Project, named: str):
    project.cache.mkdir()
    project.cache.chmod(0o777)
    assert "can be written by others" in build_twice(project, WAZCACHE_TRUST_DIR=named)


# what lies in the cache


@pytest.mark.parametrize("which", ["wasmtime-*", "wasmtime-*/*.zip"])
def test_an_entry_that_others_could_have_written_is_a_miss(project: Project, which: str):
    assert project.build().status == 0
    (path,) = project.cache.glob(which)
    path.chmod(0o777)
    built = project.build()
    assert built.status == 0, built.output
    assert f"the cache {project.cache} cannot be trusted: {path} can be written by" in built.output
    assert "1 compiled" in built.output


# a cache of root's, for everybody to read, such as a layer of an image


@pytest.fixture
def image() -> Iterator[Path]:
    """A cache that root has filled, in a folder that every user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with CompilationCache.in_directory(Path(folder) / "cache") as filled:
            filled.load_module(ANSWER)
        yield Path(folder) / "cache"


UID = 1000
"""Of an ordinary user, who need not exist."""


def as_ordinary_user(*words: str | Path, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program as an ordinary user without a home."""
    return subprocess.run(
        words, user=UID, group=UID, extra_groups=[], cwd="/", text=True, check=False,
        env={"HOME": "/nonexistent", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@cache
def python_of_everybody() -> str:
    """Find a Python like this one that an ordinary user can run: root's own may be in its home."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = as_ordinary_user(python, "-c", "import sys; print(sys.version_info[:2])")
        except PermissionError:
            continue
        if done.stdout.strip() == str(sys.version_info[:2]):
            return python
    pytest.skip("an ordinary user can run no Python of this version")


def load_as_ordinary_user(directory: Path, wasm: bytes = ANSWER) -> str:
    """Load a module through a cache; return the names of its exports, and warnings."""
    code = (
        "import sys; from hatch_wazcache import CompilationCache\n"
        "with CompilationCache.in_directory(sys.argv[1]) as cache:\n"
        "    print(*[e.name for e in cache.load_module(bytes.fromhex(sys.argv[2])).exports])"
    )
    packages = Path(wasmtime.__file__).parents[1]
    done = as_ordinary_user(
        python_of_everybody(), "-c", code, directory, wasm.hex(), path=f"{ROOT}:{packages}"
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@as_root
def test_a_cache_of_root_that_everybody_can_read_gives_hits_to_any_user(image: Path):
    subprocess.run(["chmod", "-R", "a+rX", image], check=True)
    before = sorted((path, path.stat().st_mtime_ns) for path in image.rglob("*"))
    assert load_as_ordinary_user(image) == "answer\n"
    assert sorted((path, path.stat().st_mtime_ns) for path in image.rglob("*")) == before


@as_root
def test_a_miss_in_a_cache_of_root_is_compiled_with_one_warning(image: Path):
    subprocess.run(["chmod", "-R", "a+rX", image], check=True)
    said = load_as_ordinary_user(image, tiny("another"))
    assert said.count("UserWarning") == 1
    assert f"the cache {image} cannot be written: Permission denied" in said


@as_root
def test_a_cache_of_root_that_nobody_else_can_read_is_one_warning_that_says_what_to_do(
    image: Path,
):
    said = load_as_ordinary_user(image)
    assert said.count("UserWarning") == 1
    assert f"the cache {image} cannot be read: Permission denied (`chmod -R a+rX {image}`" in said
    assert "answer\n" in said


@as_root
def test_a_cache_of_root_that_others_can_write_is_refused(image: Path):
    subprocess.run(["chmod", "-R", "a+rwX", image], check=True)
    code = (
        "import sys; from hatch_wazcache import CompilationCache as C; C.in_directory(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, image], text=True, capture_output=True, check=False
    )
    assert "can be written by others" in done.stderr


# who can replace the cache


def distrusts(cache: Path) -> str:
    """Say why a cache cannot be trusted; empty if it can."""
    return Trust(cache).problem() or ""


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """A link in a folder of everybody's, on the way from the user's link to the user's cache."""
    (tmp_path / "cache").mkdir(mode=0o700)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "link").symlink_to(tmp_path / "cache")
    (tmp_path / "mine").symlink_to(shared / "link")
    return shared / "link"


def test_a_cache_behind_own_links_is_used(links: Path, tmp_path: Path):
    assert distrusts(tmp_path / "mine") == ""


@as_root
def test_a_cache_behind_a_link_of_another_user_is_not_used(links: Path, tmp_path: Path):
    os.chown(links, 1234, 1234, follow_symlinks=False)
    assert f"who owns the link {links} (uid 1234)" in distrusts(tmp_path / "mine")


def test_a_cache_behind_a_link_that_others_can_replace_is_not_used(links: Path, tmp_path: Path):
    links.parent.chmod(0o777)
    assert f"who can write {links.parent}" in distrusts(tmp_path / "mine")


def _group_writable(folder: Path) -> Path:
    """Make a folder that its group can write, with a cache; return the cache."""
    (folder / "cache").mkdir(parents=True, mode=0o700)
    folder.chmod(0o775)
    return folder / "cache"


class _Listed(NamedTuple):
    """A user or a group, as `pwd` and `grp` list them."""

    pw_name: str = ""
    pw_uid: int = -1
    pw_gid: int = -1
    gr_gid: int = -1
    gr_mem: tuple[str, ...] = ()


@pytest.mark.parametrize("missing", ["the user", "the group", "a member"])
def test_a_group_whose_members_are_not_all_known_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
):
    """A directory service need not list its users and groups."""
    cache = _group_writable(tmp_path / "above")
    group = cache.parent.stat().st_gid
    users = [_Listed(pw_name="me", pw_uid=os.geteuid(), pw_gid=group)]
    groups = [_Listed(gr_gid=group)]
    monkeypatch.setattr("pwd.getpwall", lambda: users)
    monkeypatch.setattr("grp.getgrall", lambda: groups)
    assert distrusts(cache) == ""
    if missing == "the user":
        users.clear()
    else:
        groups.clear()
    if missing == "a member":
        groups.append(_Listed(gr_gid=group, gr_mem=("me", "remote")))
    assert "could be replaced by others" in distrusts(cache)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the access control lists of Linux")
def test_a_folder_that_an_access_list_lets_others_write_is_not_trusted(tmp_path: Path):
    cache = _group_writable(tmp_path / "above")
    if os.geteuid() == 0:
        os.chown(cache.parent, 0, 0)
    before = distrusts(cache)
    rights = [(0x01, 7, -1), (0x02, 7, 1234), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1)]
    entries = b"".join(struct.pack("<HHi", tag, right, user) for tag, right, user in rights)
    try:
        os.setxattr(cache.parent, "system.posix_acl_access", struct.pack("<I", 2) + entries)
    except OSError:
        pytest.skip("a file system without access control lists")
    assert before == ""
    assert f"who can write {cache.parent}" in distrusts(cache)


@as_root
def test_an_entry_of_another_user_is_a_miss_with_advice(project: Project):
    assert project.build().status == 0
    (path,) = project.cache.glob("wasmtime-*/*.zip")
    os.chown(path, 1234, 1234)
    built = project.build()
    assert f"{path} belongs to another user (uid 1234); if you trust it, set" in built.output
    assert HIT in project.build(WAZCACHE_TRUST_DIR=str(project.cache)).output
