"""The cache's commands on fetched wheels, beside the entries of real builds."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.fetched_wheel import system_name
from hatch_wazcache.cache.statistics import BuildStatistics, record
from tests.support.commands import answer, entries, refused, run, said, tree
from tests.support.fetching import FILES, LIBRARY, Installers, wheel
from tests.support.projects import Project
from tests.support.wasm import tiny

LARGE = 1 << 18


@pytest.fixture
def wheels(filled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two fetched wheels of 256 KiB in the cache: the first was used before all entries."""
    installer = Installers("uv", tmp_path, monkeypatch)
    installer.offline()
    cache = CacheDirectory(filled.cache, pytest.fail)
    made = []
    for version in ("47.0.1", "50.0.1"):
        library = b"\0%s\0" % version.encode() + bytes(LARGE)
        wheel(installer.links, version, {**FILES, LIBRARY: library})
        made.append(cache.fetch_wheel(Requirement(f"wasmtime=={version}"), "a test"))
    cache.close()
    os.utime(made[0], (time.time() - 86400 * 9,) * 2)
    return made


def test_info_counts_them_toward_the_bound(filled: Project, wheels: list[Path]):
    about = answer(filled, "info")
    assert [(w["distribution"], w["version"], w["system"]) for w in about["wheels"]] == [
        ("wasmtime", "47.0.1", system_name()),
        ("wasmtime", "50.0.1", system_name()),
    ]
    assert about["entries"] == 4
    files = [path for folder in wheels for path in folder.rglob("*") if path.is_file()]
    in_all = sum(path.stat().st_blocks * 512 for path in (*files, *entries(filled)))
    assert about["size"] == in_all > 2 * LARGE
    lines = said(filled, "info").splitlines()
    assert lines[1].startswith("entries   4, ")
    assert lines[4].startswith("fetched   2 of wasmtime's wheels, ")
    assert lines[5].startswith("together  ")
    assert lines[5].endswith(" of at most 5.4 GB")


def test_list_shows_them_after_the_entries(filled: Project, wheels: list[Path]):
    lines = said(filled, "list").splitlines()
    assert lines[5:7] == ["", f"WHEEL{' ' * (len(wheels[0].name) - 5)}  SIZE      USED"]
    assert [line.split()[0] for line in lines[7:]] == [wheels[1].name, wheels[0].name]
    assert lines[8].endswith("  9 days ago")
    assert [w["path"] for w in answer(filled, "list")["wheels"]] == [str(w) for w in wheels[::-1]]
    shutil.rmtree(filled.cache / "sources")
    for scope in filled.cache.glob("wasmtime-*"):
        shutil.rmtree(scope)
    assert said(filled, "list").splitlines() == lines[6:]


def test_prune_removes_what_was_used_first(filled: Project, wheels: list[Path]):
    size = answer(filled, "info")["size"]
    before = tree(filled.cache)
    words = ("prune", "--max-size", f"{size - 1}B")
    lines = said(filled, *words, "--dry-run").splitlines()
    assert lines[0].startswith(f"{wheels[0].name}  ")
    assert lines[1].startswith("0 entries and 1 fetched wheel would be removed, ")
    assert tree(filled.cache) == before
    done = answer(filled, *words)
    assert (done["removed"], done["keys"]) == (1, [wheels[0].name])
    assert done["freed"] > LARGE
    assert not wheels[0].exists()
    assert wheels[1].exists()
    assert len(entries(filled)) == 4
    assert list(filled.cache.glob("engines/.fetching-*")) == []


def test_prune_selects_them_like_entries(filled: Project, wheels: list[Path]):
    assert answer(filled, "prune", "--older-than", "8d")["keys"] == [wheels[0].name]
    assert answer(filled, "prune", "--engine", "50")["keys"] == [wheels[1].name]
    assert len(entries(filled)) == 4


def test_prune_keeps_what_known_builds_used(filled: Project, wheels: list[Path]):
    keys = tuple(path.stem for path in entries(filled))
    for number, folder in enumerate(wheels):
        build = BuildStatistics(time.time() + number, "demo", 0, 0, 0, 0, (*keys, folder.name))
        record(filled.cache, build)
    assert answer(filled, "prune", "--unused")["removed"] == 0
    assert answer(filled, "prune", "--ci")["keys"] == [wheels[0].name]


def test_a_build_that_compiles_prunes_them(filled: Project, wheels: list[Path]):
    filled.append('max-size = "500 kB"\n')
    filled.write("demo/new.wasm", tiny("new"))
    built = filled.build()
    assert built.status == 0, built.output
    assert [folder.exists() for folder in wheels] == [False, True]


@pytest.mark.parametrize("words", [("prune", "--max-size", "0"), ("clear",)], ids=" ".join)
def test_everything_can_be_removed(filled: Project, wheels: list[Path], words: tuple[str, ...]):
    before = tree(filled.cache)
    assert answer(filled, *words, "--dry-run")["removed"] == 6
    assert tree(filled.cache) == before
    said_so = said(filled, *words)
    assert said_so.startswith("4 entries and 2 fetched wheels removed, ")
    assert [path for path in filled.cache.glob("engines/*") if path.is_dir()] == []


def test_leftovers_of_killed_fetches_are_removed(filled: Project, wheels: list[Path]):
    leftover = filled.cache / "engines" / ".fetching-0123456789abcdef"
    others = filled.cache / "engines" / ".fetching-mine"
    for folder in (leftover, others):
        (folder / "wasmtime").mkdir(parents=True)
    said(filled, "prune")
    assert not leftover.exists()
    assert others.exists()
    assert all(folder.exists() for folder in wheels)


def test_what_only_looks_like_a_wheel_stays(filled: Project, wheels: list[Path], tmp_path: Path):
    engines = filled.cache / "engines"
    (tmp_path / "mine").mkdir()
    (engines / f"wasmtime-46.0.1-{system_name()}").symlink_to(tmp_path / "mine")
    (engines / f"wasmtime-45.0.0-{system_name()}").touch()
    (engines / "wasmtime-src").mkdir()
    said(filled, "clear")
    left = {path.name for path in engines.iterdir()}
    assert left == {
        ".lock",
        f"wasmtime-46.0.1-{system_name()}",
        f"wasmtime-45.0.0-{system_name()}",
        "wasmtime-src",
    }
    assert (tmp_path / "mine").exists()


def test_verify_checks_their_files(filled: Project, wheels: list[Path]):
    assert said(filled, "verify").startswith("4 entries and 2 fetched wheels checked, ")
    (wheels[0] / "wasmtime" / "_ffi.py").write_bytes(b"2\n")
    lines = said(filled, "verify", status=3).splitlines()
    problem = f"{wheels[0]} is broken: wasmtime/_ffi.py has another digest than RECORD says"
    assert lines[0] == problem
    assert lines[1].endswith(": 1 broken")
    (found,) = answer(filled, "verify", status=3)["broken"]
    assert found["key"] == wheels[0].name
    assert said(filled, "verify", "--repair").splitlines()[1].endswith(": 1 broken, 1 removed")
    assert [folder.exists() for folder in wheels] == [False, True]


@pytest.mark.parametrize(
    "words", [("prune", "--max-size", "0"), ("clear",), ("verify", "--repair")], ids=" ".join
)
def test_nothing_is_removed_from_a_cache_without_its_mark(
    filled: Project, wheels: list[Path], words: tuple[str, ...]
):
    for path in entries(filled):
        path.unlink()
    (wheels[0] / "wasmtime" / "_ffi.py").unlink()
    (filled.cache / "CACHEDIR.TAG").unlink()
    before = tree(filled.cache)
    assert f"{filled.cache} has no CACHEDIR.TAG" in refused(filled, *words)
    assert tree(filled.cache) == before


def test_show_and_why_pass_them_over(filled: Project, wheels: list[Path]):
    assert wheels
    assert "no key begins with" in refused(filled, "show", "wasmtime")
    assert run(filled, "why", "a.wasm").returncode == 0
