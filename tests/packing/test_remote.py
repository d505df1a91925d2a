"""Builds that share what they compile."""

from __future__ import annotations

import re
import shutil
import socket
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hatch_wazcache.cache.entry import read_entry, write_entry
from hatch_wazcache.cache.remote.keys import SigningKey
from hatch_wazcache.cache.remote.signature import Signature
from hatch_wazcache.engine.targets import native_target
from tests.support.commands import answer, said
from tests.support.projects import Built, Project, flat_setuptools_project
from tests.support.remotes import FolderServer, folder_server, other_machine, readers, writers
from tests.support.wasm import ANSWER, tiny

KEY = SigningKey.generate()
FOREIGN = "aarch64-macos" if native_target().name != "aarch64-macos" else "x86_64-linux"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    with folder_server(tmp_path / "server") as made:
        yield made


def ended(built: Built) -> str:
    """Return the output of a build that has made a wheel."""
    assert built.status == 0, built.output
    return built.output


def second_machine(project: Project, server: FolderServer) -> Project:
    """Build on one machine, and return the project on another one, which reads."""
    ended(project.build(**writers(server, KEY)))
    second = other_machine(project)
    second.environment |= readers(server, KEY)
    return second


def warnings(built: Built) -> list[str]:
    lines = ended(built).splitlines()
    return [line for line in lines if line.startswith("wazcache: warning: ")]


def set_seconds(server: FolderServer, seconds: float) -> None:
    """Let all entries on a server say that they took so long to compile."""
    for path in server.paths(".zip"):
        old = read_entry(path, path.stem)
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[1])
        path.unlink()
        with path.open("wb") as file:
            write_entry(file, old.key, old.inputs, "a.cwasm", data, seconds)
        signature = Signature.of(read_entry(path, path.stem), KEY)
        path.with_suffix(".sig").write_bytes(signature.to_bytes())


def test_a_second_machine_gets_the_same_wheel_and_compiles_nothing(
    project: Project, server: FolderServer
):
    first = project.build(**writers(server, KEY))
    assert "1 compiled, 0 found in the cache, 1 uploaded: " in ended(first)
    assert re.search(r"a\.wasm: uploaded to the shared cache for \S+, \S+ [kM]?B in ", first.output)
    second = other_machine(project)
    built = second.build(**readers(server, KEY))
    assert "0 compiled, 0 found in the cache, 1 from the shared cache (" in ended(built)
    assert re.search(r"a\.wasm: found in the shared cache for \S+, \S+ [kM]?B in ", built.output)
    assert "compiling" not in built.output
    assert built.wheel is not None
    assert first.wheel is not None
    assert built.wheel.read_bytes() == first.wheel.read_bytes()


def test_a_second_machine_starts_no_process(project: Project, server: FolderServer):
    project.write("demo/a.wasm", tiny("a"))  # a larger one is also compressed, by another process
    ended(project.build(**writers(server, KEY)))
    second = other_machine(project)
    built = second.build(**readers(server, KEY), PYTHONPROFILEIMPORTTIME="1")
    assert "1 from the shared cache" in ended(built)
    assert "hatch_wazcache.compile.pool" not in built.output


def test_what_was_found_in_the_shared_cache_is_found_in_the_local_one_later(
    project: Project, server: FolderServer
):
    ended(project.build(**writers(server, KEY)))
    second = other_machine(project)
    ended(second.build(**readers(server, KEY)))
    asked = len(server.requests)
    built = second.build(**readers(server, KEY), PYTHONPROFILEIMPORTTIME="1")
    assert "0 compiled, 1 found in the cache (" in ended(built)
    assert len(server.requests) == asked
    imported = re.findall(r"hatch_wazcache\.cache\.remote\S*", built.output)
    assert set(imported) <= {"hatch_wazcache.cache.remote", "hatch_wazcache.cache.remote.options"}


def test_info_and_the_statistics_count_the_shared_cache(project: Project, server: FolderServer):
    second = second_machine(project, server)
    ended(second.build())
    first, other = (answer(one, "info")["statistics"]["last"] for one in (project, second))
    assert (first["misses"], first["uploads"], first["remote_hits"]) == (1, 1, 0)
    assert (other["misses"], other["hits"], other["remote_hits"]) == (0, 0, 1)
    assert other["seconds_saved"] > 0
    assert "1 compiled in 0." in said(project, "info")
    assert ", 1 uploaded" in said(project, "info")
    assert "0 compiled, 0 found, 1 from the shared cache (0." in said(second, "info")


# who may do what


def test_without_a_mode_a_build_only_reads(project: Project, server: FolderServer):
    built = project.build(**readers(server, KEY, WAZCACHE_SIGNING_KEY=KEY.text))
    assert "1 compiled, 0 found in the cache: " in ended(built)
    assert server.counts == {"GET sig": 1}


def test_the_mode_of_the_environment_is_stronger(project: Project, server: FolderServer):
    text = f'assets = ["demo/*.wasm"]\nremote = {{url = "{server.url}", mode = "read-write"}}'
    project.options(text)
    keys = {"WAZCACHE_TRUSTED_KEYS": KEY.public, "WAZCACHE_SIGNING_KEY": KEY.text}
    ended(project.build(**keys, WAZCACHE_REMOTE_MODE="read"))
    assert server.names() == []
    shutil.rmtree(project.cache)
    assert "1 uploaded" in ended(project.build(**keys))
    assert len(server.names(".sig")) == 1


def test_a_build_does_not_upload_what_it_found(project: Project, server: FolderServer):
    """Others may have put it into the cache."""
    ended(project.build())
    built = project.build(**writers(server, KEY))
    assert "1 found in the cache" in ended(built)
    assert server.requests == []


def test_read_write_without_a_private_key_is_one_warning_and_only_reads(
    project: Project, server: FolderServer
):
    built = project.build(**readers(server, KEY, WAZCACHE_REMOTE_MODE="read-write"))
    (warning,) = warnings(built)
    assert warning == (
        f"wazcache: warning: the shared cache {server.url} is only read, although its mode is "
        "read-write: WAZCACHE_SIGNING_KEY is not set, so nothing can be signed"
    )
    assert server.counts == {"GET sig": 1}


def test_the_projects_read_write_is_no_warning_for_who_has_no_private_key(
    project: Project, server: FolderServer
):
    text = f'assets = ["demo/*.wasm"]\nremote = {{url = "{server.url}", mode = "read-write"}}'
    project.options(text)
    keys = {"WAZCACHE_TRUSTED_KEYS": KEY.public}
    built = project.build(**keys)
    assert warnings(built) == []
    assert "only read" not in built.output
    assert server.counts == {"GET sig": 1}
    asked_for = project.build(
        **keys, WAZCACHE_REMOTE_MODE="read-write", WAZCACHE_DIR=str(project.root / "c")
    )
    (warning,) = warnings(asked_for)
    assert "is only read, although its mode is read-write" in warning


def test_messages_show_the_url_as_it_was_written_without_its_password(
    project: Project, server: FolderServer
):
    server.status = 503
    host = server.url.removeprefix("http://")
    written = f"bazel+http://ci:secret@{host}/Some%20place"
    built = project.build(**readers(server, KEY, WAZCACHE_REMOTE=written))
    (warning,) = warnings(built)
    assert f"the shared cache bazel+http://{host}/Some" in warning
    assert "secret" not in built.output


def test_who_has_no_key_of_the_project_builds_without_its_shared_cache(
    project: Project, server: FolderServer
):
    lines = f'remote = {{url = "{server.url}", trusted-keys = ["{KEY.public}"]}}'
    project.options(f'assets = ["demo/*.wasm"]\n{lines}')
    nobody = {"XDG_CONFIG_HOME": str(project.root.parent / "config")}
    built = project.build(**nobody)
    told = [line for line in ended(built).splitlines() if "shared cache" in line]
    assert len(told) == 1
    assert told[0] == (
        f"wazcache: tool.hatch.build.hooks.wazcache.remote.url: the shared cache {server.url} is "
        "not used, because this machine trusts no key: set WAZCACHE_TRUSTED_KEYS to the public "
        "keys of your team"
    )
    assert warnings(built) == []
    assert server.requests == []


def test_a_remote_of_the_environment_without_keys_is_an_error(
    project: Project, server: FolderServer
):
    nobody = {"XDG_CONFIG_HOME": str(project.root.parent / "config")}
    built = project.build(**nobody, WAZCACHE_REMOTE=server.url)
    assert built.status != 0
    assert "WAZCACHE_REMOTE: the shared cache" in built.output
    assert "this machine trusts no key: set WAZCACHE_TRUSTED_KEYS" in built.output
    assert "Traceback" not in built.output
    assert server.requests == []


def test_the_keys_may_be_in_the_users_configuration(project: Project, server: FolderServer):
    second = second_machine(project, server)
    config = second.root.parent / "config" / "hatch-wazcache"
    config.mkdir(parents=True, mode=0o700)
    (config / "trusted-keys").write_text(f"{KEY.public}  # the runner\n")
    second.environment = {"XDG_CONFIG_HOME": str(config.parent), "WAZCACHE_REMOTE": server.url}
    assert "1 from the shared cache" in ended(second.build())


def test_artifacts_for_the_cpu_of_one_machine_are_not_shared(
    project: Project, server: FolderServer
):
    project.options('assets = ["demo/*.wasm"]\ncpu = "native"')
    assert "1 compiled, 0 found in the cache: " in ended(project.build(**writers(server, KEY)))
    assert server.requests == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")
def test_the_environment_of_a_compiler_holds_no_credentials(
    project: Project, server: FolderServer, tmp_path: Path
):
    seen, python = tmp_path / "environ", tmp_path / "python3"
    python.write_text(f'#!/bin/sh\ncat /proc/$$/environ >> {seen}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    url = server.url.replace("//", "//user:password@")
    secrets = {**writers(server, KEY), "WAZCACHE_REMOTE": url, "WAZCACHE_REMOTE_TOKEN": "hunter2"}
    secrets |= {"AWS_SECRET_ACCESS_KEY": "hunter3"}
    ended(project.build(**secrets, WAZCACHE_PYTHON=str(python)))
    found = seen.read_text()
    assert "WAZCACHE_PYTHON=" in found
    assert not [text for text in ("user:password", "hunter2", "hunter3", KEY.text) if text in found]


def test_a_build_that_fails_has_uploaded_what_it_compiled(project: Project, server: FolderServer):
    """A function that leaves nothing, and should leave a number."""
    project.write("demo/b.wasm", ANSWER[:-3] + b"\x01\x01\x0b")
    built = project.build(**writers(server, KEY))
    assert built.status != 0
    assert "demo/b.wasm: cannot be compiled" in built.output
    assert "demo/a.wasm: uploaded to the shared cache" in built.output
    assert len(server.names(".sig")) == 1


# a server that does not work


def test_a_server_that_is_down_is_one_warning(project: Project, server: FolderServer):
    for number in range(5):
        project.write(f"demo/{number}.wasm", tiny(str(number)))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    built = project.build(**{**writers(server, KEY), "WAZCACHE_REMOTE": url})
    (warning,) = warnings(built)
    assert warning.startswith(f"wazcache: warning: the shared cache {url}: ")
    assert warning.endswith("; this build goes on without it")
    assert "6 compiled, 0 found in the cache: " in built.output


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 302])
def test_a_server_that_serves_nobody_is_one_warning(
    project: Project, server: FolderServer, status: int
):
    for number in range(20):
        project.write(f"demo/{number}.wasm", tiny(str(number)))
    server.status = status
    built = project.build(**writers(server, KEY))
    assert len(warnings(built)) == 1
    assert "21 compiled, 0 found in the cache: " in built.output
    assert len(server.requests) < 15  # eight at a time, until the third answer


def test_one_failure_among_many_answers_does_not_give_the_server_up(
    project: Project, server: FolderServer
):
    for number in range(6):
        project.write(f"demo/{number}.wasm", tiny(str(number)))
    second = second_machine(project, server)
    server.paths(".zip")[3].write_bytes(b"")
    built = second.build()
    assert len(warnings(built)) == 1
    assert "goes on without it" not in built.output
    assert "1 compiled, 0 found in the cache, 6 from the shared cache" in built.output


def test_a_signature_without_its_entry_is_a_miss_without_a_warning(
    project: Project, server: FolderServer
):
    second = second_machine(project, server)
    server.paths(".zip")[0].unlink()
    built = second.build(**writers(server, KEY))
    assert warnings(built) == []
    assert "1 compiled, 0 found in the cache, 1 uploaded" in built.output
    assert len(server.names(".zip")) == 1


def test_a_download_that_cannot_win_is_dropped(project: Project, server: FolderServer):
    second = second_machine(project, server)
    (entry,) = server.paths(".zip")
    server.rate = entry.stat().st_size / 600  # ten minutes, for an entry of a tenth of a second
    started = time.monotonic()
    built = second.build()
    assert time.monotonic() - started < 60
    (warning,) = warnings(built)
    assert "it sends so slowly that compiling is faster" in warning
    assert "1 compiled, 0 found in the cache: " in built.output
    assert list(second.cache.glob("tmp/*")) == []


def test_a_slow_download_that_wins_is_used(project: Project, server: FolderServer):
    second = second_machine(project, server)
    set_seconds(server, 600.0)
    (entry,) = server.paths(".zip")
    server.rate = entry.stat().st_size / 3
    built = second.build()
    assert warnings(built) == []
    assert "1 from the shared cache (10 min 0 s saved)" in built.output


def test_compilers_run_beside_downloads(project: Project, server: FolderServer, tmp_path: Path):
    """The server sends nothing until a compiler has started."""
    second = second_machine(project, server)
    set_seconds(server, 600.0)
    second.write("demo/b.wasm", tiny("b"))
    started = tmp_path / "started"
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\ntouch {started}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    waited: list[bool] = []

    def wait_for_compiler(path: str) -> None:
        until = time.monotonic() + 8
        while path.endswith(".zip") and not started.exists() and time.monotonic() < until:
            time.sleep(0.01)
        waited.append(started.exists())

    server.before = wait_for_compiler
    built = second.build(WAZCACHE_PYTHON=str(python))
    assert "1 compiled, 0 found in the cache, 1 from the shared cache" in ended(built)
    assert waited[-1]


def test_uploads_that_move_too_slowly_are_given_up(project: Project, server: FolderServer):
    """The server takes each request, and answers after ten minutes."""
    server.delay_of_puts = 600.0
    started = time.monotonic()
    built = project.build(**writers(server, KEY))
    assert time.monotonic() - started < 60
    assert len(warnings(built)) == 1
    assert "1 compiled, 0 found in the cache: " in built.output


# everything that makes artifacts


def test_an_editable_install_uses_the_shared_cache(project: Project, server: FolderServer):
    second = second_machine(project, server)
    assert "0 compiled, 0 found in the cache, 1 from the shared cache" in ended(second.editable())
    assert [path for path in second.tree() if path.endswith(".cwasm")]


def test_setuptools_uses_the_shared_cache(tmp_path: Path, server: FolderServer):
    project = flat_setuptools_project(tmp_path)
    assert "1 uploaded" in ended(project.build(**writers(server, KEY)))
    shutil.rmtree(project.cache)
    built = project.build(**readers(server, KEY))
    assert "0 compiled, 0 found in the cache, 1 from the shared cache" in ended(built)
    shutil.rmtree(project.cache)
    built = project.editable(**readers(server, KEY))
    assert "0 compiled, 0 found in the cache, 1 from the shared cache" in ended(built)


def test_warm_uses_the_shared_cache(project: Project, server: FolderServer):
    about = answer(project, "warm", **writers(server, KEY))
    assert (about["compiled"], about["downloaded"], about["uploaded"]) == (1, 0, 1)
    second = other_machine(project)
    about = answer(second, "warm", **readers(server, KEY))
    assert (about["compiled"], about["downloaded"], about["uploaded"]) == (0, 1, 0)


def test_commands_without_a_project_use_the_variables(
    project: Project, server: FolderServer, tmp_path: Path
):
    """`compile` with a finished wheel, and `companion`."""
    project.options('assets = ["demo/*.wasm"]\ncompanion = "demo-wasmtime"')
    project.append('\n[project.optional-dependencies]\nfast = ["demo-wasmtime"]\n')
    wheel = project.build(WAZCACHE_TARGET="any").wheel
    assert wheel is not None
    for name, words in {
        "companion": ("companion", str(wheel), "--engine", "48", "--targets", "native"),
        "compile": ("compile", str(wheel), "--engines", "48"),
    }.items():
        for number, variables in enumerate((writers(server, KEY), readers(server, KEY))):
            folder = tmp_path / f"{name}{number}"
            folder.mkdir()
            alone = Project(folder, folder / "cache")
            about = answer(alone, *words, "-w", "out", **variables)
            counts = about["compiled"], about.get("downloaded", 0)
            assert counts == ((0, 1) if number or name == "compile" else (1, 0)), about


def test_the_entry_of_another_patch_release_is_found_without_the_wasmtime_cli(
    project: Project, server: FolderServer, wasmtime_cli: Path, tmp_path: Path
):
    cli = tmp_path / "wasmtime"
    print_version = '[ "$1" = --version ] && echo wasmtime 48.0.9 && exit'
    cli.write_text(f'#!/bin/sh\n{print_version}\nexec {wasmtime_cli} "$@"\n')
    cli.chmod(0o700)
    project.environment = {"WAZCACHE_TARGET": FOREIGN}
    first = project.build(**writers(server, KEY), WAZCACHE_WASMTIME=str(cli))
    assert "1 uploaded" in ended(first)
    assert server.names(".sig")[0].startswith("wasmtime-48.0.9-")
    second = other_machine(project)
    nothing = {"WAZCACHE_WASMTIME": "", "PATH": "/usr/bin:/bin", "WAZCACHE_TARGET": FOREIGN}
    refused = second.build(**nothing)
    assert "the wasmtime CLI is needed" in refused.output
    built = second.build(**nothing, **readers(server, KEY))
    assert "0 compiled, 0 found in the cache, 1 from the shared cache" in ended(built)
    assert built.wheel is not None
    assert first.wheel is not None
    assert built.wheel.read_bytes() == first.wheel.read_bytes()
    asked = len(server.requests)
    again = second.build(**nothing, **readers(server, KEY))
    assert "0 compiled, 1 found in the cache" in ended(again)
    assert len(server.requests) == asked


# several builds


@pytest.mark.parametrize("caches", ["own caches", "one cache"])
def test_eight_builders_share_one_server_at_the_same_time(
    project: Project, server: FolderServer, caches: str
):
    for number in range(4):
        project.write(f"demo/{number}.wasm", tiny(str(number)))
    machines = [other_machine(project, f"machine{number}") for number in range(8)]
    for machine in machines if caches == "one cache" else ():
        machine.cache = project.cache
    running = [machine.begin(**writers(server, KEY)) for machine in machines]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * 8, outputs
    assert [line for line in "".join(outputs).splitlines() if "warning" in line] == []
    wheels = {next(one.root.glob("dist/*.whl")).read_bytes() for one in machines}
    assert len(wheels) == 1
    last = other_machine(project, "last")
    built = last.build(**readers(server, KEY))
    assert "0 compiled, 0 found in the cache, 5 from the shared cache" in built.output


def test_a_build_that_must_not_use_its_cache_uses_the_shared_one(
    project: Project, server: FolderServer
):
    second = second_machine(project, server)
    second.cache.mkdir()
    second.cache.chmod(0o777)
    built = second.build()
    (warning,) = warnings(built)
    assert "new artifacts are not kept" in warning
    assert "1 from the shared cache" in built.output
    assert list(second.cache.rglob("*.zip")) == []
