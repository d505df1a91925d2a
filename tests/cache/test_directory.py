"""The cache's directory: the promises to a build."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache.errors import WazcacheError
from tests.support.disks import mounted
from tests.support.entries import KEY, cache_at, publish
from tests.support.marks import as_root
from tests.support.projects import Project
from tests.support.wasm import ANSWER, tiny

# the directory, with wazero's own cases


def test_ok(tmp_path: Path, entry: Path):
    (tmp_path / "cache").mkdir(mode=0o700)
    cache, warnings = cache_at(tmp_path / "cache")
    publish(cache, entry)
    assert cache.get(KEY) is not None
    assert warnings == []


def test_create_dir(tmp_path: Path):
    cache_at(tmp_path / "not" / "yet")
    assert stat.S_IMODE((tmp_path / "not" / "yet").stat().st_mode) == 0o700


def test_create_relative_dir(project: Project):
    project.options('assets = ["demo/*.wasm"]\ncache-dir = "build/cache"')
    built = project.build(WAZCACHE_DIR="")
    assert built.status == 0, built.output
    assert list((project.root / "build" / "cache").glob("wasmtime-48.*-x86_64-linux/*.zip"))


def test_basedir_is_not_a_dir(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(WazcacheError, match=r"file is not a directory"):
        cache_at(tmp_path / "file" / "cache")


def test_versiondir_is_not_a_dir(project: Project):
    assert project.build().status == 0
    (scope,) = project.cache.glob("wasmtime-*")
    shutil.rmtree(scope)
    scope.touch()
    built = project.build()
    assert built.status != 0
    assert f"{scope} is not a directory" in built.output
    assert "Traceback" not in built.output


def test_other_versions_lie_side_by_side(project: Project):
    assert project.build().status == 0
    (scope,) = project.cache.glob("wasmtime-*")
    assert scope.name == "wasmtime-48.0.0-x86_64-linux"


# a cache can only help


def test_a_cache_that_others_can_write_is_not_used(project: Project):
    assert project.build().status == 0
    project.cache.chmod(0o770)
    built = project.build()
    assert built.status == 0, built.output
    assert "can be written by others" in built.output
    assert "1 compiled" in built.output


@as_root
def test_a_cache_of_another_user_is_not_used(project: Project):
    project.cache.mkdir(mode=0o700)
    os.chown(project.cache, 1234, 1234)
    built = project.build()
    assert built.status == 0, built.output
    assert "belongs to another user" in built.output
    assert list(project.cache.iterdir()) == []


@as_root
def test_a_full_cache_is_a_warning(project: Project):
    with mounted(project.cache, "size=32k"):
        built = project.build()
        tmp = list((project.cache / "tmp").iterdir())
    assert built.status == 0, built.output
    assert built.output.count("wazcache: warning: ") == 1
    assert "No space left" in built.output
    assert tmp == []


def test_broken_records_of_builds_do_not_stop_a_build(project: Project):
    builds = project.cache / "builds"
    builds.mkdir(parents=True, mode=0o700)
    project.cache.chmod(0o700)
    for number in range(100):
        (builds / f"{number}-ab.json").write_text('{"time": 1}' if number % 2 else "[]")
    (builds / "total.json").write_text("{}")
    built = project.build()
    assert built.status == 0, built.output


def test_a_broken_entry_is_compiled_again_and_the_wheel_is_the_same(project: Project):
    expected = project.build().wheel.read_bytes()
    for entry in project.cache.glob("*/*.zip"):
        whole = bytearray(entry.read_bytes())
        whole[-2000] ^= 1
        entry.write_bytes(whole)
    built = project.build()
    assert built.status == 0, built.output
    assert built.wheel.read_bytes() == expected
    again = project.build()
    assert "0 compiled, 1 found" in again.output
    assert again.wheel.read_bytes() == expected


def test_entries_modes_do_not_leak_into_wheels(project: Project):
    built = project.build()
    infos = zipfile.ZipFile(built.wheel).infolist()
    modes = {i.filename: stat.S_IMODE(i.external_attr >> 16) for i in infos}
    assert modes["demo/a.x86_64-linux.cwasm"] == 0o644
    entry = next(project.cache.glob("wasmtime-*/*.zip"))
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


def build_at_once(project: Project, copies: int) -> list[str]:
    """Build copies of a project side by side, on one cache; return what each said."""
    builds = []
    for number in range(copies):
        copy = Path(shutil.copytree(project.root, project.root.parent / f"copy{number}"))
        builds.append(
            subprocess.Popen(
                [project.python, *project.build_words],
                cwd=copy, env=project.env(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
    outputs = [build.communicate(timeout=60)[0] for build in builds]
    assert [build.returncode for build in builds] == [0] * copies, outputs
    return outputs


def test_two_builds_at_once_compile_each_asset_once(project: Project):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    outputs = build_at_once(project, 4)
    assert sum(output.count(": compiled for") for output in outputs) == 2, outputs
    wheels = {p.read_bytes() for p in project.root.parent.glob("copy*/dist/*.whl")}
    assert len(wheels) == 1


def test_two_builds_at_once_compile_each_small_module_once(project: Project):
    for number in range(100):
        project.write(f"demo/m{number}.wasm", tiny(f"{number}"))
    outputs = build_at_once(project, 2)
    assert sum(output.count(": compiled for") for output in outputs) == 101, outputs
    first, second = (p.read_bytes() for p in project.root.parent.glob("copy*/dist/*.whl"))
    assert first == second


@pytest.mark.parametrize("left", [0, 1, 700, 2000])
def test_an_entry_that_a_power_cut_has_torn_is_made_again(project: Project, left: int):
    (project.root / "demo/a.wasm").write_bytes(ANSWER)
    expected = project.build().wheel.read_bytes()
    (entry,) = project.cache.glob("wasmtime-*/*.zip")
    whole = entry.read_bytes()
    assert len(whole) > 2200  # of which 700 to 2170 are the deflated artifact
    torn = whole[:left] + bytes(len(whole) - left) if left else b""
    entry.write_bytes(torn)
    built = project.build(WAZCACHE_STRICT="1")  # it is nobody's mistake
    assert built.status == 0, built.output
    assert ": compiled for" in built.output
    assert built.wheel.read_bytes() == expected
    assert entry.read_bytes() != torn
    assert zipfile.ZipFile(entry).testzip() is None


@pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_cache_that_others_can_replace_is_not_used(project: Project, mode: int, refused: bool):
    folder = project.root.parent / "shared"
    folder.mkdir()
    folder.chmod(mode)
    built = project.build(WAZCACHE_DIR=str(folder / "cache"))
    assert built.status == 0, built.output
    assert ("could be replaced by others" in built.output) == refused
    assert bool(list((folder / "cache").glob("*/*.zip"))) != refused


@as_root
def test_a_cache_below_another_users_folder_is_not_used(project: Project):
    folder = project.root.parent / "theirs"
    folder.mkdir()
    os.chown(folder, 1234, 1234)
    built = project.build(WAZCACHE_DIR=str(folder / "cache"))
    assert built.status == 0, built.output
    assert f"who owns {folder} (uid 1234)" in built.output


# links


def test_a_link_that_changes_does_not_mix_two_caches(tmp_path: Path, entry: Path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to("first")
    cache, warnings = cache_at(link)
    publish(cache, entry)
    link.unlink()
    link.symlink_to("second")
    assert cache.get(KEY) is not None
    publish(cache, entry)
    cache.close()
    assert cache.path(KEY).is_relative_to(tmp_path / "first")
    assert [*(tmp_path / "second").iterdir()] == []
    assert warnings == []
