"""The loader keeps what it compiled: within a process, and in the user's cache folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.environments import UNMEASURED, environment_with
from tests.support.loading import ARTIFACT, PRELUDE, REFUSE, change_manifest, home, run
from tests.support.marks import as_ordinary_user, as_root
from tests.support.wheels import TARGET

LOAD = "print(call(load_module('answer.wasm')))"
LOAD_AND_SHOW_WARNINGS = f"print(*warned(lambda: {LOAD}), sep='|')"
NOBODY = 65534


def kept_folder(folder: Path) -> Path:
    """The folder of compiled code in the cache folder of `home(folder)`."""
    return folder / "cache/wazcache-fallback"


def kept(folder: Path) -> list[Path]:
    return sorted(kept_folder(folder).glob("*"))


def load(site: Path, folder: Path, code: str = LOAD_AND_SHOW_WARNINGS, **env: str) -> list[str]:
    """Load `answer.wasm` as one whose artifacts are refused; return the answer and the warnings."""
    *answer, warnings = run(code, site, **REFUSE, **home(folder), **env)
    return [*answer, *filter(None, warnings.split("|"))]


# Across processes


def test_the_second_start_compiles_nothing_and_reads_no_wasm(own_site: Path, tmp_path: Path):
    answer, warning = load(own_site, tmp_path)
    assert (answer, warning[:28]) == ("42", "answer.wasm is compiled now,")
    (file,) = kept(tmp_path)
    before = file.stat()
    (own_site / "demo/answer.wasm").write_bytes(b"no wasm")
    assert load(own_site, tmp_path) == ["42"]
    assert file.stat().st_ino == before.st_ino
    assert file.stat().st_mtime == before.st_mtime


def test_a_component_is_kept_too(site: Path, tmp_path: Path):
    code = "print(*warned(lambda: print(type(load_component('c.wasm')).__name__)), sep='|')"
    assert [len(load(site, tmp_path, code)) for _ in range(2)] == [2, 1]


def test_an_artifact_that_loads_touches_no_cache_and_imports_nothing_for_it(
    site: Path, tmp_path: Path
):
    code = """
        import sys
        load_module('answer.wasm', strict=True)
        load_module('answer.wasm')
        needed_to_keep = {'hashlib', 'importlib.metadata', 'tempfile', 'threading', 'weakref'}
        print(needed_to_keep & set(sys.modules))
        """
    assert run(code, site, **UNMEASURED, **home(tmp_path)) == ["set()"]
    assert not any(tmp_path.rglob("*"))


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_file_and_folders_are_private_whatever_the_umask(umask: int, site: Path, tmp_path: Path):
    load(site, tmp_path, f"import os; os.umask({umask})\n{LOAD_AND_SHOW_WARNINGS}")
    (file,) = kept(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert {folder.stat().st_mode & 0o777 for folder in (file.parent, file.parents[1])} == {0o700}


@pytest.mark.parametrize("other", ["44.0.0", "50.0.1"])
def test_each_wasmtime_has_a_file_of_its_own(other: str, site: Path, tmp_path: Path):
    assert load(site, tmp_path)[0] == "42"
    for count in (2, 2):
        run(LOAD, site, environment_with(other), **home(tmp_path))
        assert len(kept(tmp_path)) == count


SETTINGS = {
    "cranelift_opt_level": "'none'",
    "cranelift_nan_canonicalization": "True",
    "cranelift_debug_verifier": "True",
    "native_unwind_info": "False",
    "memory_reservation_for_growth": "1 << 20",
    "consume_fuel": "True",
    "epoch_interruption": "True",
    "wasm_tail_call": "False",
}
OWN = """
import wasmtime
config = wasmtime.Config()
{setting}
own = wasmtime.Engine(config)
print(*warned(lambda: print(load_module('answer.wasm', own) and 1)), sep='|')
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_engine_of_the_callers_own_gets_code_with_its_settings(
    setting: str, site: Path, tmp_path: Path
):
    """wasmtime does not check some settings when it loads code, so the name has to tell."""
    load(site, tmp_path)
    own = OWN.format(setting=f"config.{setting} = {SETTINGS[setting]}")
    assert len(load(site, tmp_path, own)) == 2
    assert len(kept(tmp_path)) == 2
    assert len(load(site, tmp_path, own)) == 1


def test_an_engine_of_the_callers_own_with_the_same_settings_shares_the_file(
    site: Path, tmp_path: Path
):
    load(site, tmp_path)
    assert load(site, tmp_path, OWN.format(setting="")) == ["1"]
    assert len(kept(tmp_path)) == 1


def test_each_profile_has_a_file_of_its_own(site: Path, tmp_path: Path):
    for name in ("default", "fuel"):
        code = f"print(*warned(lambda: load_module('answer.wasm', profile={name!r})), sep='|')"
        assert len(load(site, tmp_path, code)) == 1
        assert load(site, tmp_path, code) == []
    assert len(kept(tmp_path)) == 2


@pytest.mark.parametrize(
    "damage", ["empty", "cut short", "half", "text", "another file", "none of it is readable"]
)
def test_a_damaged_file_is_compiled_again_and_replaced(damage: str, site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    good = file.read_bytes()
    bad = {
        "empty": b"",
        "cut short": good[:-1],
        "half": good[: len(good) // 2],
        "text": b"x" * len(good),
        "another file": (site / f"demo/c.{TARGET}.cwasm").read_bytes(),
    }.get(damage, good)
    file.unlink()
    file.write_bytes(bad)
    file.chmod(0o000 if "readable" in damage else 0o600)
    load(site, tmp_path)
    assert file.read_bytes() == good
    assert load(site, tmp_path) == ["42"]


@pytest.mark.parametrize("kind", ["link", "link to nowhere", "FIFO", "writable by all"])
def test_what_is_no_file_of_this_user_alone_is_replaced(kind: str, site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    good = file.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    if kind == "FIFO":
        os.mkfifo(file, 0o600)
    elif kind == "writable by all":
        file.write_bytes(good)
        file.chmod(0o666)
    else:
        file.symlink_to(elsewhere if kind == "link" else "nowhere")
    answer, warning = load(site, tmp_path)
    assert (answer, warning[:27]) == ("42", "answer.wasm is compiled now")
    assert file.is_file()
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600
    assert load(site, tmp_path) == ["42"]
    assert elsewhere.read_bytes() == good


def check_not_kept(said: list[str], reason: str) -> None:
    """The asset works, and one warning says why the code is not kept."""
    answers = [line for line in said if line.isdecimal()]
    (warning,) = (line for line in said if "cannot be kept" in line)
    assert set(answers) == {"42"}
    assert len(said) == len(answers) + 2
    assert warning.startswith("the compiled code of answer.wasm cannot be kept, so the next start ")
    assert reason in warning


def test_a_folder_in_place_of_the_file_is_a_warning(site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    file.unlink()
    file.mkdir()
    check_not_kept(load(site, tmp_path), "Is a directory")
    assert kept(tmp_path) == [file]


HOSTILE = {
    "writable by all": (lambda folder: folder.chmod(0o777), "can be written by other users"),
    "writable by a group": (lambda folder: folder.chmod(0o770), "can be written by other users"),
    "below one that all can write": (
        lambda folder: folder.parent.chmod(0o777),
        "can be written by other users",
    ),
    "a file": (lambda folder: (folder.rmdir(), folder.write_text("")), "File exists"),
    "a FIFO": (lambda folder: (folder.rmdir(), os.mkfifo(folder)), "File exists"),
    "a link to nowhere": (
        lambda folder: (folder.rmdir(), folder.symlink_to("nowhere")),
        "File exists",
    ),
    "a link to itself": (
        lambda folder: (folder.rmdir(), folder.symlink_to(folder)),
        "File exists",
    ),
}


@pytest.mark.parametrize("trouble", HOSTILE)
def test_a_cache_folder_that_is_not_this_users_alone_is_a_warning_and_no_cache(
    trouble: str, site: Path, tmp_path: Path
):
    folder = kept_folder(tmp_path)
    folder.mkdir(0o700, parents=True)
    make, reason = HOSTILE[trouble]
    make(folder)
    twice = f"print(*warned(lambda: [{LOAD} for _ in range(2)]), sep='|')"
    check_not_kept(load(site, tmp_path, twice), reason)
    assert not folder.is_dir() or not any(folder.iterdir())


@as_root
@pytest.mark.parametrize("what", ["the folder", "the folder above", "a link", "the file"])
def test_what_belongs_to_another_user_is_not_trusted(what: str, site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    place = {"the folder": file.parent, "the folder above": file.parent.parent}.get(what, file)
    if what == "a link":
        place = file.parent
        place.rename(tmp_path / "own")
        place.symlink_to(tmp_path / "own")
    os.chown(place, NOBODY, NOBODY, follow_symlinks=False)
    said = load(site, tmp_path)
    if what == "the file":
        assert said[1].startswith("answer.wasm is compiled now")
        assert file.stat().st_uid == 0
    else:
        check_not_kept(said, f"{place} belongs to another user (uid {NOBODY})")


@as_root
def test_nothing_is_made_in_the_home_of_another_user(site: Path, tmp_path: Path):
    os.chown(tmp_path, NOBODY, NOBODY)
    check_not_kept(load(site, tmp_path), f"{tmp_path} belongs to another user")
    assert not any(tmp_path.iterdir())


def test_a_link_of_this_user_is_followed(site: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / "cache").symlink_to("elsewhere")
    load(site, tmp_path)
    assert load(site, tmp_path) == ["42"]
    assert len(list(tmp_path.glob("elsewhere/wazcache-fallback/*.cwasm"))) == 1


HOMES = {
    "no folder": ({"HOME": os.devnull, "XDG_CACHE_HOME": ""}, "File exists"),
    "a path that is too long": ({"XDG_CACHE_HOME": "/" + "x" * 5000}, "File name too long"),
    "a path with too many folders": (
        {"XDG_CACHE_HOME": os.devnull + "/d" * 3000},
        "File exists",
    ),
    "a relative one, and a home that is none": (
        {"HOME": "nowhere", "XDG_CACHE_HOME": "cache"},
        "there is no home directory",
    ),
}


@pytest.mark.parametrize("kind", HOMES)
def test_without_a_home_there_is_a_warning_and_no_cache(kind: str, site: Path, tmp_path: Path):
    env, reason = HOMES[kind]
    said = run(LOAD_AND_SHOW_WARNINGS, site, **REFUSE, **env)
    check_not_kept([said[0], *said[1].split("|")], reason)


@as_ordinary_user
def test_a_cache_folder_that_cannot_be_written_is_a_warning(site: Path, tmp_path: Path):
    (tmp_path / "cache").mkdir(0o500)
    check_not_kept(load(site, tmp_path), "Permission denied")


@as_ordinary_user
def test_a_folder_that_cannot_be_written_is_one_warning_for_all_assets(site: Path, tmp_path: Path):
    kept_folder(tmp_path).mkdir(0o500, parents=True)
    code = f"""
        def load():
            {LOAD}
            load_module('data/deep/b.wasm')
        print(*(line for line in warned(load) if "kept" in line), sep='|')
        """
    answer, warning = load(site, tmp_path, code)
    assert answer == "42"
    assert f"{kept_folder(tmp_path)}: Permission denied" in warning


@as_ordinary_user
def test_what_is_kept_loads_from_a_folder_that_cannot_be_written(site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    file.parent.chmod(0o500)
    assert load(site, tmp_path) == ["42"]
    file.parent.chmod(0o700)


def test_a_limit_on_the_size_of_files_is_a_warning_and_leaves_nothing(site: Path, tmp_path: Path):
    """What a full disk does, too."""
    code = f"""
        import resource, signal, sys
        sys.dont_write_bytecode = True  # Python would keep half of a file
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited[1]))
        {LOAD_AND_SHOW_WARNINGS}
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)  # for the report of the coverage
        """
    check_not_kept(load(site, tmp_path, code), "File too large")
    assert kept(tmp_path) == []


def test_a_wasm_with_other_bytes_than_the_wheels_is_not_kept(own_site: Path, tmp_path: Path):
    wasm = own_site / "demo/answer.wasm"
    good = wasm.read_bytes()
    wasm.write_bytes(good.replace(b"\x41\x2a", b"\x41\x2b"))  # i32.const 43
    assert load(own_site, tmp_path)[0] == "43"
    assert kept(tmp_path) == []
    wasm.write_bytes(good)
    assert load(own_site, tmp_path)[0] == "42"


def test_a_wasm_that_changes_in_an_editable_install_is_compiled_again(
    own_site: Path, tmp_path: Path
):
    wasm = own_site / "demo/answer.wasm"

    def make_editable(manifest: dict) -> None:
        asset = manifest["assets"]["answer.wasm"]
        asset.update(mtime_ns=0, ctime_ns=0, inode=0)

    change_manifest(own_site, make_editable)
    assert load(own_site, tmp_path)[0] == "42"
    wasm.write_bytes(wasm.read_bytes().replace(b"\x41\x2a", b"\x41\x2b"))  # i32.const 43
    for warnings in (1, 0):
        answer, *warned = load(own_site, tmp_path)
        assert (answer, len(warned)) == ("43", warnings)
    assert len(kept(tmp_path)) == 2


def test_what_was_not_used_for_the_longest_time_goes_first(site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    now = time.time()
    for name, days in (("a", 3), ("b", 2), ("c", 1)):
        other = file.with_name(f"{name}.cwasm")
        with other.open("wb") as opened:
            opened.truncate(900 << 20)
        os.utime(other, (now, now - 86400 * days))
    for name, age in (("old.tmp", 86400 * 2), ("new.tmp", 60), ("mine.txt", 86400 * 9)):
        file.with_name(name).touch()
        os.utime(file.with_name(name), (now, now - age))
    assert load(site, tmp_path, OWN.format(setting="config.consume_fuel = True"))[0] == "1"
    names = {path.name for path in kept(tmp_path)}
    assert {"b.cwasm", "c.cwasm", "new.tmp", "mine.txt", file.name} < names
    assert not {"a.cwasm", "old.tmp"} & names


def test_use_after_a_day_makes_a_file_young_again(site: Path, tmp_path: Path):
    load(site, tmp_path)
    (file,) = kept(tmp_path)
    os.utime(file, (1, 1))
    assert load(site, tmp_path) == ["42"]
    assert time.time() - file.stat().st_mtime < 60


def test_many_processes_at_once_leave_one_file(site: Path, tmp_path: Path):
    words = [sys.executable, "-c", PRELUDE + LOAD]
    env = {**os.environ, **REFUSE, **home(tmp_path), "PYTHONPATH": str(site)}
    running = [
        subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(6)
    ]
    assert [process.communicate()[0] for process in running] == [b"42\n"] * 6
    assert len(kept(tmp_path)) == 1
    assert load(site, tmp_path) == ["42"]


def test_a_process_that_is_killed_while_it_writes_leaves_no_half_file(site: Path, tmp_path: Path):
    code = """
        import os, signal
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        load_module('answer.wasm')
        """
    words = [sys.executable, "-c", PRELUDE + "\n".join(map(str.strip, code.splitlines()))]
    env = {**os.environ, **REFUSE, **home(tmp_path), "PYTHONPATH": str(site)}
    killed = subprocess.run(words, env=env, check=False, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in kept(tmp_path)] == [".tmp"]
    answer, warning = load(site, tmp_path)
    assert (answer, warning[:27]) == ("42", "answer.wasm is compiled now")
    assert load(site, tmp_path) == ["42"]


# The choice of the fallback


def test_compile_keeps_no_file(site: Path, tmp_path: Path):
    code = "print(*warned(lambda: load_module('answer.wasm', fallback='compile')), sep='|')"
    assert len(load(site, tmp_path, code)) == 1
    assert not any(tmp_path.rglob("*"))


def test_error_raises(site: Path, tmp_path: Path):
    code = "print(refused(lambda: load_module('answer.wasm', fallback='error')))"
    (said,) = run(code, site, **REFUSE)
    assert said.startswith(f'answer.wasm is not precompiled (fallback "error"): {ARTIFACT}: ')


def test_the_packages_choice_is_weaker_than_the_callers(own_site: Path, tmp_path: Path):
    change_manifest(own_site, lambda manifest: manifest.update(fallback="error"))
    code = """
        print(refused(lambda: load_module('answer.wasm'))[:31])
        print(call(load_module('answer.wasm', fallback='compile')))
        print(refused(lambda: load_module('answer.wasm', fallback='compile', strict=True))[:31])
        """
    said = [line for line in run(code, own_site, **REFUSE) if "Warning" not in line]
    refused = "answer.wasm is not precompiled "
    assert [said[0], said[-2], said[-1]] == [refused, "42", refused]


@pytest.mark.parametrize("artifacts", ["refused", "fine"])
def test_a_choice_that_does_not_exist_is_an_error(artifacts: str, site: Path):
    code = "print(refused(lambda: load_module('answer.wasm', fallback='never')))"
    said = run(code, site, **(REFUSE if artifacts == "refused" else {}))
    assert said == ["fallback is 'never'; it must be one of cache, compile, error"]


# Within a process


@pytest.mark.parametrize("fallback", ["cache", "compile"])
def test_a_process_compiles_an_asset_once_for_each_engine(fallback: str, site: Path):
    code = f"""
        import wasmtime
        own = wasmtime.Engine()
        def load(engine=None, **options):
            return load_module('data/deep/b.wasm', engine, fallback={fallback!r}, **options)
        first = load()
        print(all(load() is first for _ in range(5)), load(engine()) is first)
        print(load(own) is load(own), load(own) is not first)
        print(load(profile='fuel') is load(profile='fuel'))
        """
    said = [line for line in run(code, site, **REFUSE) if line.startswith("True")]
    assert said == ["True True", "True True", "True"]


def test_threads_at_once_compile_once(site: Path):
    """The first compiles, and the others wait for it."""
    code = """
        import wasmtime
        compiled = []
        class Counting(wasmtime.Module):
            def __init__(self, engine, wasm):
                if len(wasm) > 8:
                    compiled.append(len(wasm))
                super().__init__(engine, wasm)
        wasmtime.Module = Counting
        loaded = together(lambda: load_module('data/deep/b.wasm', fallback='compile'))
        print(len(compiled), len(set(map(id, loaded))))
        """
    said = run(code, site, **REFUSE)  # wasmtime may complain of the subclass at the end
    assert "1 1" in said, said


def test_a_closed_module_is_not_returned_again(site: Path):
    code = """
        for fallback in ('cache', 'compile'):
            load_module('answer.wasm', fallback=fallback).close()
            print(call(load_module('answer.wasm', fallback=fallback)))
        """
    assert run(code, site, **REFUSE)[-2:] == ["42", "42"]


def test_an_engine_of_the_callers_own_is_not_kept_alive(site: Path):
    code = """
        import gc, weakref, wasmtime
        own = wasmtime.Engine()
        module = weakref.ref(load_module('answer.wasm', own))
        own = weakref.ref(own)
        gc.collect()
        print(own(), module())
        """
    assert run(code, site, **REFUSE)[-1] == "None None"
