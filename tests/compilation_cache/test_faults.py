"""`CompilationCache` after aborts, damage and refusals."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from hatch_wazcache import CompilationCache
from hatch_wazcache.errors import WazcacheError
from tests.support.compilers import Compilers
from tests.support.disks import mounted
from tests.support.marks import as_root
from tests.support.processes import answer, entries, run
from tests.support.wasm import ANSWER, COMPONENT, tiny

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
    cache = parent / between / "cache"
    message = (
        f"could be replaced by others, who can write {parent} \\(mode 777\\); "
        f"if you trust it, set WAZCACHE_TRUST_DIR={cache}$"
    )
    with pytest.raises(WazcacheError, match=message):
        CompilationCache.in_directory(parent / between / "cache")


@as_root
def test_a_parent_in_which_a_group_can_swap_it_is_refused(tmp_path: Path):
    parent = tmp_path / "parent"
    parent.mkdir(mode=0o700)
    os.chown(parent, -1, 54321)
    parent.chmod(0o770)
    with pytest.raises(WazcacheError, match=f"who can write {parent} \\(mode 770\\); if you trust"):
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
