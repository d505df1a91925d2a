"""Container images: artifacts that a layer holds load wherever the image runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.projects import Project

LOAD = """
import os, sys, demo
from demo._wazcache import load_module, status
written = os.stat(os.path.join(os.path.dirname(demo.__file__), "a.wasm")).st_mtime_ns
load_module("a.wasm", strict=True)
print(written / 1e9 % 1, status("a.wasm").precompiled)
"""
"""Prints the part of a second in the time stamp of the `.wasm`, and if its artifact loads."""


@dataclass(frozen=True)
class Machine:
    """A machine with buildah: it has images of its own."""

    storage: Path

    def buildah(self, *words: str | Path) -> str:
        own = ["--root", self.storage / "root", "--runroot", self.storage / "run"]
        return subprocess.run(
            ["buildah", *own, "--storage-driver", "vfs", *words],
            text=True, stdout=subprocess.PIPE, check=True,
        ).stdout.strip()  # fmt: skip

    def run(self, container: str, *words: str | Path, user: int = 0) -> str:
        """Run a program in a container, which sees this machine's programs and Python."""
        folders = {Path("/usr"), Path("/lib"), Path("/lib64"), Path("/bin"), ROOT}
        folders |= {Path(sys.prefix), Path(sys.base_prefix)}
        seen = [f"--volume={folder}:{folder}:ro" for folder in sorted(folders) if folder.is_dir()]
        return self.buildah(
            "run", "--isolation", "chroot", "--user", str(user), *seen, container, "--", *words
        )


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    """One that builds an image, and one that runs it."""
    if os.geteuid() != 0 or not shutil.which("buildah"):
        pytest.skip("buildah and root are needed: apt install buildah")
    return Machine(tmp_path / "builds"), Machine(tmp_path / "runs")


def test_the_artifacts_of_an_editable_install_in_a_layer_load_where_the_image_runs(
    project: Project, machines: tuple[Machine, Machine], tmp_path: Path
):
    """A layer holds whole seconds, so the `.wasm` has another time stamp there."""
    builds, runs = machines
    packages = tmp_path / "packages.pth"
    packages.write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    site = f"/venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

    container = builds.buildah("from", "scratch")
    builds.buildah("copy", container, project.root, "/app")
    base = Path(sys.base_prefix, "bin", "python3")
    builds.run(container, base, "-m", "venv", "--without-pip", "/venv")
    builds.buildah("copy", container, packages, f"{site}/packages.pth")
    builds.run(container, "/usr/bin/touch", "--date=2026-01-01T00:00:00.5Z", "/app/demo/a.wasm")
    pip = [sys.executable, "-m", "pip", "--python", "/venv/bin/python", "install"]
    builds.run(container, *pip, "--no-build-isolation", "--no-deps", "--editable", "/app")
    assert builds.run(container, "/venv/bin/python", "-c", LOAD) == "0.5 True"
    image = f"oci-archive:{tmp_path / 'image.tar'}"
    builds.buildah("commit", container, image)

    elsewhere = runs.buildah("from", image)
    assert runs.run(elsewhere, "/venv/bin/python", "-c", LOAD) == "0.0 True"
    assert runs.run(elsewhere, "/venv/bin/python", "-c", LOAD, user=1000) == "0.0 True"
