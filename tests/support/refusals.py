"""Projects whose builds fail, and must leave nothing behind."""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import read_entry
from hatch_wazcache.engine.targets import native_target
from tests.support.projects import Built, Project, SetuptoolsProject, run_python
from tests.support.wheels import unpack

NATIVE = native_target().name


def make_good(project: Project) -> None:
    """Restore the project after a test has changed it."""
    for path in project.root.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name != "dist":
                shutil.rmtree(path)
        else:
            path.unlink()
    project.write("pyproject.toml", project.pyproject)
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")


@cache
def reference(kind: type[Project]) -> tuple[Path, bytes]:
    """Return the cache and the wheel of a good build, which is made once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    good = kind(folder / "project", folder / "cache")
    good.root.mkdir()
    make_good(good)
    built = good.build()
    assert built.wheel is not None, built.output
    load = "from demo._wazcache import load_module; load_module('a.wasm', strict=True)"
    assert run_python(load, unpack(built.wheel, folder / "site")).status == 0
    return good.cache, built.wheel.read_bytes()


class Refusing(Project):
    """A project that cannot be built, with a cache that has all entries of a good build."""

    good_wheel: bytes

    def refused(self, *told: str, front: Callable[..., Built] | None = None, **env: str) -> str:
        """Build, and check that the failure has the form of every failure.

        Args:
            told: what the message must contain.
            front: builds; `build` unless told.
            env: more environment.

        Returns:
            The message.
        """
        cache, tree = state(self.cache), state(self.root, *self.left_by_builds)
        built = (front or self.build)(**env)
        assert built.status != 0, built.output
        message = "\n".join(
            line for line in built.output.splitlines() if line.startswith("wazcache: ")
        )
        for words in told:
            assert words in message, built.output
        assert "Traceback" not in built.output
        dist = self.root / "dist"
        assert not dist.is_dir() or not os.listdir(dist)
        assert state(self.root, *self.left_by_builds) == tree
        self.left_nothing(cache)
        return message

    def left_nothing(self, cache: dict[str, object]) -> None:
        """Check that the build left nothing behind, and that a good build still gives the same."""
        assert os.listdir(self.environment["TMPDIR"]) == []
        after = state(self.cache)
        assert {name: after.get(name) for name in cache} == cache
        for name in after.keys() - cache.keys():
            path = self.cache / name
            assert name.startswith(("locks/", "engines/")) or read_entry(path, path.stem)
        dist = self.root / "dist"
        if os.path.ismount(dist):
            subprocess.run(["umount", dist], check=True)
        elif dist.exists():
            dist.chmod(0o755)
        make_good(self)
        self.python = Path(sys.executable)
        good = self.build()
        assert good.wheel is not None, good.output
        assert good.wheel.read_bytes() == self.good_wheel


of_hatchling = pytest.mark.parametrize("project", ["hatchling"], indirect=True)


def state(root: Path, *without: str) -> dict[str, object]:
    """Return every file below a folder with its bytes, or with its kind."""
    found: dict[str, object] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in without]
        for name in files:
            path = Path(folder, name)
            status = path.lstat()
            found[os.path.relpath(path, root)] = (
                (status.st_mode, status.st_size, path.is_symlink() and os.readlink(path))
                if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK)
                else path.read_bytes()
            )
    return found


class RefusingSetuptools(SetuptoolsProject, Refusing):
    """A project that setuptools builds."""


def powerless(folder: Path) -> Path:
    """Return a Python that obeys the permissions of files, even as root."""
    code = (
        "import ctypes, os, sys\n"
        "for power in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH\n"
        "    ctypes.CDLL(None).prctl(24, power)  # PR_CAPBSET_DROP\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    script = folder / "powerless"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$@\"\n")
    script.chmod(0o755)
    return script


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="gives up powers of Linux's root")
