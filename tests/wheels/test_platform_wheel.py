"""The contents of the wheel."""

from __future__ import annotations

import subprocess
import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.projects import Project, SetuptoolsProject, run_python
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET, unpack

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


_WITH_A_LOW_LIMIT = """
import sys
from hatch_wazcache.packing import wheel
wheel.PYPI_LIMIT = 1000
sys.argv[1:] = ["build", "-t", "wheel"]
from hatchling.cli import hatchling
hatchling()
"""


def test_a_wheel_over_the_limit_of_pypi_is_built_and_a_line_says_what_to_do(project: Project):
    assert "too large for PyPI" not in project.build().output
    built = project.run_python("-c", _WITH_A_LOW_LIMIT, WAZCACHE_STRICT="1")
    assert built.status == 0, built.output
    assert "wazcache: this wheel is too large for PyPI, which accepts 1.0 kB unless" in built.output
    assert "warning" not in built.output


_WITH_ENTRIES = """
import sys
from hatch_wazcache.compile import job
job._SMALL = 0
sys.argv[1:] = ["build", "-t", "wheel"]
from hatchling.cli import hatchling
hatchling()
"""


def test_a_small_wasm_has_no_entry_of_its_own_and_the_wheel_is_as_with_one(project: Project):
    def kept() -> set[int]:
        """Return the sizes of the .wasm files that the cache keeps."""
        entries = [zipfile.ZipFile(path) for path in project.cache.glob("*/*.zip")]
        infos = [info for entry in entries for info in entry.infolist()]
        return {info.file_size for info in infos if info.filename == "asset.wasm"}

    (project.root / "demo/a.wasm").unlink()
    for size in (8, 1 << 14, (1 << 14) + 1):
        project.write(f"demo/of{size}.wasm", tiny("x" * (size - 16)) if size > 16 else ANSWER[:8])
    expected = project.build().wheel.read_bytes()
    assert kept() == {(1 << 14) + 1}
    assert project.build().wheel.read_bytes() == expected
    built = project.run_python("-c", _WITH_ENTRIES)
    assert built.status == 0, built.output
    assert kept() == {8, 1 << 14, (1 << 14) + 1}
    (wheel,) = (project.root / "dist").iterdir()
    assert wheel.read_bytes() == expected


@pytest.mark.parametrize("make", [Project, SetuptoolsProject])
@pytest.mark.parametrize("how", ["another", "gone"])
def test_a_small_wasm_that_changes_while_it_is_compiled_is_refused(
    tmp_path: Path, wasmtime_cli: Path, make: type[Project], how: str
):
    project = make(tmp_path / "project", tmp_path / "cache")
    project.write("pyproject.toml", project.pyproject)
    project.write("demo/__init__.py")
    wasm = project.write("demo/a.wasm", ANSWER)
    other = tmp_path / "other.wasm"
    other.write_bytes(tiny("another"))
    change = f"cp {other} {wasm}" if how == "another" else f"rm -f {wasm}"
    script = tmp_path / "wasmtime"
    script.write_text(f"""#!/bin/sh
for source; do :; done
if grep -qs answer -- "$source"; then {change}; fi
exec {wasmtime_cli} "$@"
""")
    script.chmod(0o755)
    foreign = "aarch64-macos" if TARGET != "aarch64-macos" else "x86_64-linux"
    env = {"WAZCACHE_TARGET": foreign, "WAZCACHE_WASMTIME": str(script)}
    built = project.build(**env)
    assert built.status != 0, built.output
    assert "Traceback" not in built.output
    said = "has changed while it was being built; build again"
    assert f"demo/a.wasm: {said if how == 'another' else 'cannot be read: No such'}" in built.output
    assert not [*project.root.glob("dist/*"), *project.root.glob("dist/.*")]


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
