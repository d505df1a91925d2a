"""Wheels on their own platforms: real Pythons install and run them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.platforms import machines
from tests.platforms.machines import Machine
from tests.support.wheels import unpack

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


@pytest.fixture(scope="session")
def wheels(wasmtime_cli: Path) -> Path:
    return machines.make_wheels(wasmtime_cli)


@pytest.fixture(scope="session")
def installed(machine: Machine, wheels: Path) -> Path:
    """The example, installed by the platform's pip out of wheels of all platforms."""
    site = machines.folder(f"{machine.target}-example")
    machine.install(site, wheels, "gofmt")
    return site


def ask(machine: Machine, code: str, site: Path, cwd: Path, **env: str) -> list:
    return json.loads(machine.code(code, cwd, site, **env).splitlines()[-1])


def test_a_build_there_makes_the_wheel_that_is_made_here(machine: Machine, wheels: Path):
    """Byte for byte: the compiler here, which is another program, is as good as wasmtime-py."""
    made_here = machines.wheel_for(machine.target, wheels)
    made_there = machines.build_example(machine)
    assert made_there.wheel.name == made_here.name
    assert made_there.wheel.read_bytes() == made_here.read_bytes()
    again = machines.build_example(machine)
    assert "0 compiled, 1 found in the cache" in again.output
    assert again.wheel.read_bytes() == made_here.read_bytes()


def assert_precompiled(machine: Machine, site: Path, cwd: Path, **env: str) -> None:
    formatted, precompiled, artifact, reason, said = ask(machine, STRICTLY, site, cwd, **env)
    assert formatted == FORMATTED
    assert precompiled
    assert artifact == machine.path(site / "gofmt" / f"gofmt.{machine.target}.cwasm")
    assert (reason, said) == (None, [])


def test_pip_chooses_the_wheel_of_its_platform_and_go_is_formatted_precompiled(
    machine: Machine, installed: Path, tmp_path: Path
):
    assert_precompiled(machine, installed, tmp_path)


@pytest.mark.parametrize("machine", ["aarch64-linux"], indirect=True)
def test_an_arm_cpu_of_the_first_generation_is_enough(
    machine: Machine, installed: Path, tmp_path: Path
):
    """It lacks the atomic instructions of Armv8.1, which any newer one has."""
    assert_precompiled(machine, installed, tmp_path, QEMU_CPU="cortex-a53")


def test_the_artifact_of_another_platform_is_refused_and_the_wasm_compiled(
    machine: Machine, installed: Path, wheels: Path, tmp_path: Path
):
    (other,) = (target for target in OTHERS if target != machine.target)
    site = Path(shutil.copytree(installed, tmp_path / "site"))
    own = site / "gofmt" / f"gofmt.{machine.target}.cwasm"
    foreign = unpack(machines.wheel_for(other, wheels), tmp_path / other)
    shutil.copy(foreign / "gofmt" / f"gofmt.{other}.cwasm", own)
    cache = {"XDG_CACHE_HOME": machine.path(tmp_path / "cache")}
    formatted, precompiled, artifact, reason, said = ask(machine, FORMAT, site, tmp_path, **cache)
    assert formatted == FORMATTED
    assert (precompiled, artifact) == (False, None)
    assert f"{own.name}: " in reason
    assert len(said) == 1
    assert "gofmt.wasm is compiled now, which takes time" in said[0]
    formatted, *_, said = ask(machine, FORMAT, site, tmp_path, **cache)
    assert (formatted, said) == (FORMATTED, []), "the first start has kept what it compiled"


def test_wheels_of_other_platforms_have_nothing_for_this_one(
    machine: Machine, installed: Path, wheels: Path, tmp_path: Path
):
    site = Path(shutil.copytree(installed, tmp_path / "site"))
    for other in {"x86_64-linux", *OTHERS} - {machine.target}:
        shutil.rmtree(site / "gofmt")
        unpack(machines.wheel_for(other, wheels), site)
        code = "from gofmt._wazcache import status; print(status('gofmt.wasm').reason)"
        assert machine.code(code, tmp_path, site) == "the wheel has none for this system\n"


# companions


@pytest.fixture(scope="session")
def companions() -> Path:
    return machines.make_companions()


@pytest.mark.parametrize(
    ("wasmtime", "companion"),
    [("", "49.1.0.0"), ("==47.0.1", "47.1.0.0"), ("==46.0.1", "0")],
)
def test_pip_chooses_the_companion_of_its_platform_and_its_wasmtime(
    machine: Machine, companions: Path, tmp_path: Path, wasmtime: str, companion: str
):
    site = tmp_path / "site"
    machine.install(site, companions, "gofmt", f"wasmtime{wasmtime}")
    assert (site / f"gofmt_wasmtime-{companion}.dist-info").is_dir()
    answered = ask(machine, FORMAT, site, tmp_path)
    formatted, precompiled, artifact, reason, _said = answered
    assert formatted == FORMATTED
    if companion == "0":
        assert (precompiled, artifact) == (False, None)
        return
    major = companion.partition(".")[0]
    name = f"gofmt.{machine.target}.wasmtime{major}.cwasm"
    assert (precompiled, reason) == (True, None)
    assert artifact == machine.path(site / "gofmt_wasmtime" / "gofmt" / name)
