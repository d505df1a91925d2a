"""Artifacts on CPUs that are emulated: one for a better CPU is refused there, and never run."""

from __future__ import annotations

import json
from pathlib import Path

import machines
import pytest
from conftest import ANSWER, Project, unpack
from machines import Machine

OLD, NEW = "Nehalem", "Haswell"
"""Without and with what x86-64-v3 needs, as qemu has them."""

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


@pytest.mark.parametrize("cpu", [OLD, NEW])
def test_the_baseline_loads_everywhere(
    machine: Machine, answering: Project, tmp_path: Path, cpu: str
):
    assert load(machine, answering, tmp_path, cpu) == ("a.x86_64-linux.cwasm", None)


def test_a_level_loads_where_the_cpu_has_it(machine: Machine, answering: Project, tmp_path: Path):
    answering.append('cpu = "x86-64-v3"\n')
    name = "a.x86_64-linux.x86-64-v3.cwasm"
    assert load(machine, answering, tmp_path, NEW) == (name, None)


def test_a_level_is_refused_where_the_cpu_lacks_it(
    machine: Machine, answering: Project, tmp_path: Path
):
    answering.append('cpu = "x86-64-v3"\n')
    artifact, reason = load(machine, answering, tmp_path, OLD)
    assert artifact is None
    assert '"has_avx' in reason
