"""The loader in forked processes, which lack wasmtime's threads: it never hangs.

A process that has compiled has threads. A child that waits for them would wait forever. So each
child here is ended after a minute, and its status is not 0 then.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.environments import environment_of, find_python
from tests.support.loading import REFUSE, home, run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

NOT_HERE = "answer.wasm cannot be compiled in this process: it was forked from one that had "
PARENT_COMPILES = """
import wasmtime
def compile_something(engine=None):
    functions = "(func (result i32) i32.const 1)" * 50
    wasmtime.Module(engine or wasmtime.Engine(), wasmtime.wat2wasm(f"(module {functions})"))
def own(**settings):
    config = wasmtime.Config()
    for name, value in settings.items():
        setattr(config, name, value)
    return wasmtime.Engine(config)
"""
LOADER_FIRST_IN_THE_CHILD = f"""
{PARENT_COMPILES}
import sys
for name in [name for name in sys.modules if name.startswith("demo")]:
    del sys.modules[name]
compile_something()
def child():
    from demo._wazcache import engine, load_module
    assert call(load_module("answer.wasm"), engine()) == 42
    load_module("data/deep/b.wasm")
"""


def last_lines(code: str, site: Path, folder: Path, python: Path | None = None) -> list[str]:
    """Run code as one whose artifacts are refused; return what it prints, without warnings."""
    said = run(code, site, *([python] if python else []), **REFUSE, **home(folder))
    return [line for line in said if line.startswith("=")]


@pytest.mark.parametrize("minor", [9, 10, 11, 12, 13, 14])
def test_loads_if_the_parent_has_compiled_before_the_loader_was_imported(
    minor: int, site: Path, tmp_path: Path
):
    wasmtime = f"wasmtime=={version('wasmtime')}"
    python = environment_of(wasmtime, python=find_python(f"3.{minor}"), with_ours=False)
    code = f"{LOADER_FIRST_IN_THE_CHILD}\nprint('=', in_fork(child))"
    assert last_lines(code, site, tmp_path, python) == ["= 0"]


def test_loads_in_a_child_of_multiprocessing(site: Path, tmp_path: Path):
    code = f"""
{LOADER_FIRST_IN_THE_CHILD}
import multiprocessing
context = multiprocessing.get_context("fork")
process = context.Process(target=child)
process.start()
process.join(60)
print("=", process.exitcode)
with context.Pool(2) as pool:
    print("=", pool.apply_async(child).get(60))
"""
    assert last_lines(code, site, tmp_path) == ["= 0", "= None"]


def test_loads_in_a_child_of_a_child(site: Path, tmp_path: Path):
    code = f"""
{LOADER_FIRST_IN_THE_CHILD}
def middle():
    child()
    assert in_fork(child) == 0
print("=", in_fork(middle))
"""
    assert last_lines(code, site, tmp_path) == ["= 0"]


SETTINGS = ["consume_fuel=True", "epoch_interruption=True", "debug_info=True"]


def test_an_own_engine_with_other_settings_is_an_error_with_the_way_out(site: Path, tmp_path: Path):
    code = f"""
{PARENT_COMPILES}
compile_something()
def child():
    for engine_ in ({", ".join(f"own({setting})" for setting in SETTINGS)}):
        print("=", refused(lambda: load_module("answer.wasm", engine_)), flush=True)
print("=", in_fork(child))
"""
    *errors, status = last_lines(code, site, tmp_path)
    assert len(errors) == len(SETTINGS)
    for error in errors:
        assert error.startswith(f"= {NOT_HERE}")
        assert "Load it before the fork" in error
    assert status == "= 0"


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_own_engine_with_other_settings_compiles_if_no_parent_has_compiled(
    setting: str, site: Path, tmp_path: Path
):
    code = f"""
{PARENT_COMPILES}
print("=", in_fork(lambda: load_module("data/deep/b.wasm", own({setting}))))
"""
    assert last_lines(code, site, tmp_path) == ["= 0"]


def test_an_own_engine_with_the_profiles_settings_compiles(site: Path, tmp_path: Path):
    code = f"""
{PARENT_COMPILES}
compile_something()
def child():
    _wazcache._threads_answer = lambda: 1 / 0  # which is not asked
    load_module("answer.wasm", own(consume_fuel=True, parallel_compilation=True), profile="fuel")
print("=", in_fork(child))
"""
    assert last_lines(code, site, tmp_path) == ["= 0"]


def test_what_an_earlier_process_kept_loads_into_an_own_engine(site: Path, tmp_path: Path):
    code = f"""
{PARENT_COMPILES}
engine_ = own(consume_fuel=True)
if {{first}}:
    load_module("answer.wasm", engine_)
else:
    compile_something()
    print("=", in_fork(lambda: load_module("answer.wasm", engine_)))
"""
    last_lines(code.replace("{first}", "True"), site, tmp_path)
    assert last_lines(code.replace("{first}", "False"), site, tmp_path) == ["= 0"]


def test_a_fork_while_another_thread_compiles_leaves_no_lock_behind(site: Path, tmp_path: Path):
    code = f"""
{PARENT_COMPILES}
import threading
inside, go_on = threading.Event(), threading.Event()
class Slow(wasmtime.Module):
    def __init__(self, engine, wasm):
        if len(wasm) > 8 and threading.current_thread() is not threading.main_thread():
            inside.set()
            go_on.wait()
        super().__init__(engine, wasm)
wasmtime.Module = Slow
thread = threading.Thread(target=load_module, args=("answer.wasm",))
thread.start()
inside.wait()
print("=", in_fork(lambda: load_module("answer.wasm")))
go_on.set()
thread.join()
print("=", call(load_module("answer.wasm")))
"""
    assert last_lines(code, site, tmp_path) == ["= 0", "= 42"]


def test_without_a_fork_nothing_is_tried_first(site: Path, tmp_path: Path):
    code = "load_module('answer.wasm'); print('=', _wazcache._probes, _wazcache._is_forked())"
    assert last_lines(code, site, tmp_path) == ["= {} False"]


def test_where_the_system_does_not_tell_of_forks_the_loader_finds_out(site: Path, tmp_path: Path):
    """As on macOS."""
    code = f"""
{LOADER_FIRST_IN_THE_CHILD}
import builtins
def no_proc(path, *args, true_open=open):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(path)
    return true_open(path, *args)
builtins.open = no_proc
print("=", in_fork(child))
from demo import _wazcache
_wazcache.load_module("answer.wasm", fallback="compile")
print("=", _wazcache._probes[os.getpid()])
"""
    assert last_lines(f"import os\n{code}", site, tmp_path) == ["= 0", "= True"]
