"""What is in the wheel."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from conftest import Project, run_python, unpack

if TYPE_CHECKING:
    from pathlib import Path

TAGS = "android_26_x86_64.manylinux1_x86_64.musllinux_1_2_x86_64"


def test_the_wheel_holds_wasm_artifact_loader_and_manifest(project: Project):
    built = project.build()
    assert built.status == 0, built.output
    assert built.names == [
        "demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/RECORD",
        "demo-1.0.dist-info/WHEEL",
        "demo/__init__.py",
        "demo/_wazcache.json",
        "demo/_wazcache.py",
        "demo/a.wasm",
        "demo/a.x86_64-linux.cwasm",
    ]
    assert built.wheel is not None
    assert built.wheel.name == f"demo-1.0-py3-none-{TAGS}.whl"


def test_the_artifact_loads_from_the_installed_wheel(project: Project, tmp_path):
    wheel = project.build().wheel
    ran = run_python(
        "from demo._wazcache import *; print(load_module('a.wasm', strict=True), status('a.wasm'))",
        unpack(wheel, tmp_path / "site"),
    )
    assert ran.status == 0, ran.output
    assert "precompiled=True" in ran.output


_PAUSED = """
import sys, time
from pathlib import Path

event, folder, reached, until = sys.argv[1:]

def pause(happens, paths):
    wheel = any(path.endswith(".whl") for path in paths)
    if happens == event and paths[0].startswith(folder) and wheel:
        Path(reached).touch()
        while not Path(until).exists():
            time.sleep(0.01)

sys.addaudithook(lambda happens, arguments: pause(happens, [*map(str, arguments)]))
sys.argv[1:] = ["build", "-t", "wheel"]
from hatchling.cli import hatchling
hatchling()
"""


def test_a_build_beside_another_into_the_same_folder_never_misses_its_wheel(
    project: Project, tmp_path: Path
):
    def paused(at: str, until: str) -> subprocess.Popen[str]:
        """Build, and wait at the first change of a file's place or mode in dist for a file."""
        dist = str(project.root / "dist")
        words = [project.python, "-c", _PAUSED, at, dist, tmp_path / at, tmp_path / until]
        build = subprocess.Popen(
            words, cwd=project.root, env=project.env(), text=True, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        while not (tmp_path / at).exists():
            assert build.poll() is None, build.stdout.read()
            time.sleep(0.01)
        return build

    expected = project.build().wheel.read_bytes()
    # hatchling has put its wheel into dist and is about to give it its mode,
    first = paused("os.chmod", until="os.rename")
    # when another build is about to put the whole wheel there.
    second = paused("os.rename", until="end")
    assert first.wait() == 0, first.stdout.read()
    (tmp_path / "end").touch()
    assert second.wait() == 0, second.stdout.read()
    (wheel,) = (project.root / "dist").iterdir()
    assert wheel.read_bytes() == expected
