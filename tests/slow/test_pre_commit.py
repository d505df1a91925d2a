"""A real run of pre-commit in a real git repository, with the hook out of another repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from hatch_wazcache.resources import loader_text
from tests.support.paths import ROOT
from tests.support.projects import PYPROJECT
from tests.support.wasm import tiny

GIT = [
    "git",
    "-c",
    "user.name=me",
    "-c",
    "user.email=me@example.org",
    "-c",
    "init.defaultBranch=main",
]


def git(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GIT, *words], cwd=folder, env={**os.environ, **environment}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def hook_repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with the files of this project that a build needs, and its commit."""
    folder = tmp_path_factory.mktemp("hook")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hatch_wazcache", folder / "hatch_wazcache", ignore=ignored)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    assert git(folder, "commit", "-qm", "the hook").returncode == 0
    return folder, git(folder, "rev-parse", "HEAD").stdout.strip()


@pytest.fixture(scope="module")
def repository(hook_repository: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory):
    """A repository of a project that uses the hook."""
    if find_spec("pre_commit") is None:
        pytest.skip("pre-commit is needed: make check installs it")
    root = tmp_path_factory.mktemp("project")
    (root / "demo").mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "demo" / "__init__.py").touch()
    (root / "demo" / "a.wasm").write_bytes(tiny("committed"))
    (root / "demo" / "_wazcache.py").write_bytes(loader_text())
    place, commit = hook_repository
    (root / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {place}\n    rev: {commit}\n    hooks:\n"
        "      - id: hatch-wazcache-check\n"
    )
    git(root, "init", "-q")
    home = tmp_path_factory.mktemp("pre-commit")
    installed = subprocess.run(
        [sys.executable, "-m", "pre_commit", "install", "--install-hooks"],
        cwd=root, env={**os.environ, "PRE_COMMIT_HOME": str(home)}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return root, home


def commit(repository: tuple[Path, Path]) -> subprocess.CompletedProcess[str]:
    """Commit everything, as a person does."""
    root, home = repository
    git(root, "add", "-A")
    return git(root, "commit", "-m", "a change", PRE_COMMIT_HOME=str(home))


def test_a_good_project_is_committed(repository: tuple[Path, Path]):
    done = commit(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hatch-wazcache check" in done.stderr
    assert "Passed" in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("demo/a.wasm", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ("demo/_wazcache.py", loader_text() + b"#\n", "is not the loader of this release"),
        ("pyproject.toml", f"{PYPROJECT}fule = 1\n".encode(), "there is no such option"),
        ("demo/a.wasm", None, "matches no file"),
    ],
    ids=["LFS pointer", "old loader", "wrong option", "missing asset"],
)
def test_a_bad_change_is_not_committed(
    repository: tuple[Path, Path], name: str, content: bytes | None, message: str
):
    root, _home = repository
    path, before = root / name, (root / name).read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        head = git(root, "rev-parse", "HEAD").stdout
        done = commit(repository)
        assert done.returncode == 1
        assert message in done.stderr, done.stderr
        assert git(root, "rev-parse", "HEAD").stdout == head
    finally:
        path.write_bytes(before)
