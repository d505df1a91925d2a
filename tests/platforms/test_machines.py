"""Wheels on the platforms that they are for: real Pythons of theirs install and run them."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import machines
import pytest
from conftest import unpack
from machines import Machine

OTHERS = ["aarch64-linux", "x86_64-windows"]
"""Platforms that have a Python of their own here."""

UNFORMATTED = "package  main\nfunc main( ) {x:=1}\n"
FORMATTED = "package main\n\nfunc main() { x := 1 }\n"

FORMAT = f"""
import json, warnings
import gofmt
from gofmt import _wazcache
status = _wazcache.status("gofmt.wasm")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    formatted = gofmt.format({UNFORMATTED!r})
print(json.dumps([formatted, status.precompiled, status.artifact, status.reason,
                  [str(warning.message) for warning in said]]))
"""
STRICTLY = FORMAT + '\n_wazcache.load_module("gofmt.wasm", strict=True)\n'


@pytest.fixture(scope="session", params=OTHERS)
def machine(request: pytest.FixtureRequest) -> Machine:
    return machines.or_skip(lambda: machines.machine(request.param))


@cache
def _installed(machine: Machine) -> Path:
    """Install the example by the platform's pip, out of wheels of all platforms."""
    site = machines.folder(f"{machine.target}-example")
    machine.install(site, machines.wheels(), "gofmt")
    return site


def installed(machine: Machine) -> Path:
    return machines.or_skip(lambda: _installed(machine))


def ask(machine: Machine, code: str, site: Path, cwd: Path, **env: str) -> list:
    return json.loads(machine.code(code, cwd, site, **env).splitlines()[-1])


# built there


def test_a_build_there_makes_the_wheel_that_is_made_here(machine: Machine):
    """Byte for byte: the compiler here, which is another program, is as good as wasmtime-py."""
    wheel = machines.native_wheel(machine)
    made_here = machines.or_skip(lambda: machines.wheel(machine.target))
    assert wheel.name == made_here.name
    assert wheel.read_bytes() == made_here.read_bytes()
    again = machines.build_example(machine)
    assert "0 compiled, 1 found in the cache" in again.output
    assert wheel.read_bytes() == made_here.read_bytes()


# installed there


def test_pip_chooses_the_wheel_of_its_platform_and_go_is_formatted_precompiled(
    machine: Machine, tmp_path: Path
):
    assert_precompiled(machine, tmp_path)


def test_go_is_formatted_precompiled_on_an_old_arm_cpu(tmp_path: Path):
    """One without the atomic instructions of Armv8.1, which are in all newer ones."""
    machine = machines.or_skip(lambda: machines.machine("aarch64-linux"))
    assert_precompiled(machine, tmp_path, QEMU_CPU="cortex-a53")


def assert_precompiled(machine: Machine, cwd: Path, **env: str) -> None:
    site = installed(machine)
    formatted, precompiled, artifact, reason, said = ask(machine, STRICTLY, site, cwd, **env)
    assert formatted == FORMATTED
    assert precompiled
    assert artifact == machine.path(site / "gofmt" / f"gofmt.{machine.target}.cwasm")
    assert (reason, said) == (None, [])


def test_the_artifact_of_another_platform_is_refused_and_the_wasm_compiled(
    machine: Machine, tmp_path: Path
):
    (other,) = (target for target in OTHERS if target != machine.target)
    site = Path(shutil.copytree(installed(machine), tmp_path / "site"))
    own = site / "gofmt" / f"gofmt.{machine.target}.cwasm"
    foreign = unpack(machines.wheel(other), tmp_path / other) / "gofmt" / f"gofmt.{other}.cwasm"
    shutil.copy(foreign, own)
    formatted, precompiled, artifact, reason, said = ask(machine, FORMAT, site, tmp_path)
    assert formatted == FORMATTED
    assert (precompiled, artifact) == (False, None)
    assert f"{own.name}: " in reason
    assert len(said) == 1
    assert "gofmt.wasm is compiled now, which takes time" in said[0]


def test_wheels_of_other_platforms_have_nothing_for_this_one(machine: Machine, tmp_path: Path):
    site = Path(shutil.copytree(installed(machine), tmp_path / "site"))
    for other in {"x86_64-linux", *OTHERS} - {machine.target}:
        shutil.rmtree(site / "gofmt")
        unpack(machines.wheel(other), site)
        code = "from gofmt._wazcache import status; print(status('gofmt.wasm').reason)"
        assert machine.code(code, tmp_path, site) == "the wheel has none for this system\n"
