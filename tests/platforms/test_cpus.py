"""Artifacts on emulated CPUs: an artifact for a better CPU is refused, and never runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.platforms import machines
from tests.platforms.machines import Machine
from tests.support.projects import Project
from tests.support.wasm import ANSWER
from tests.support.wheels import unpack

LOAD = """
import json, warnings
warnings.simplefilter("ignore")
import wasmtime
from demo import _wazcache
status = _wazcache.status("a.wasm")
store = wasmtime.Store(_wazcache.engine())
module = _wazcache.load_module("a.wasm")
answer = wasmtime.Instance(store, module, []).exports(store)["answer"](store)
print(json.dumps([answer, status.artifact, status.reason]))
"""


@pytest.fixture(scope="module")
def machine() -> Machine:
    return machines.or_skip(machines.x86_64_linux)


def load(machine: Machine, project: Project, tmp_path: Path, cpu: str) -> tuple[str | None, str]:
    """Load the asset on a CPU, call it, and return the artifact's name and the refusals."""
    built = project.build()
    assert built.status == 0, built.output
    site = tmp_path / "site"
    unpack(built.wheel, site)
    said = machine.code(LOAD, tmp_path, site, QEMU_CPU=cpu).splitlines()[-1]
    answer, artifact, reason = json.loads(said)
    assert answer == 42
    return artifact and Path(artifact).name, reason


@pytest.fixture
def answering(project: Project) -> Project:
    project.write("demo/a.wasm", ANSWER)
    return project


@pytest.mark.parametrize(
    ("cpu", "level"),
    [("qemu64", ""), ("Nehalem", ".x86-64-v2"), ("Haswell", ".x86-64-v3"), ("max", ".x86-64-v3")],
)
def test_of_several_levels_the_best_that_the_cpu_has_is_loaded(
    machine: Machine, answering: Project, tmp_path: Path, cpu: str, level: str
):
    """qemu has no AVX-512, and so nobody gets x86-64-v4 here."""
    answering.append('cpu = ["x86-64-v4", "x86-64-v3", "x86-64-v2", "baseline"]\n')
    loaded = load(machine, answering, tmp_path, cpu)
    assert loaded == (f"a.x86_64-linux{level}.cwasm", None)


def test_a_level_alone_is_refused_where_the_cpu_lacks_it_and_the_wasm_compiled(
    machine: Machine, answering: Project, tmp_path: Path
):
    answering.append('cpu = "x86-64-v3"\n')
    artifact, reason = load(machine, answering, tmp_path, "Nehalem")
    assert artifact is None
    assert '"has_avx' in reason
