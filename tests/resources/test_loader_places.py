"""The places where the loader works: folders, archives, odd paths."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.environments import environment_of, find_python
from tests.support.loading import (
    ARTIFACT,
    ASSETS,
    FALL_BACK,
    PRELUDE,
    REFUSE,
    UNICODE,
    check_fall_back,
    home,
    run,
)
from tests.support.marks import NO_MOUNT
from tests.support.projects import run_python
from tests.support.wheels import TARGET, unpack

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.mark.parametrize("relative", [False, True])
def test_works_from_a_zip_and_extracts_nothing(relative: bool, wheel: Path, tmp_path: Path):
    code = f"""
        import os, sys
        os.chdir({str(wheel.parent)!r})
        sys.path.insert(0, {wheel.name if relative else str(wheel)!r})
        {PRELUDE.replace(chr(10), chr(10) + " " * 8)}
        import zipfile, demo
        from importlib.resources import files
        print(_wazcache.__file__)
        print(call(load_module('answer.wasm', strict=True)))
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        for asset in assets():
            load = load_component if asset == 'c.wasm' else load_module
            load(asset, strict=True)
            load(files('demo') / asset, strict=True)
            load(zipfile.Path({wheel.name!r}, 'demo/' + asset), strict=True)
        print(status('answer.wasm').artifact)
        """
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = run_python(dedent(code), empty, **home(empty))
    assert ran.output.splitlines() == [
        str(Path(wheel.name if relative else wheel, "demo/_wazcache.py")),
        "42",
        "42",
        str(wheel / "demo" / ARTIFACT),
    ]
    assert not any(empty.iterdir())


def test_compiles_out_of_a_zip_where_artifacts_are_refused(wheel: Path):
    check_fall_back(run(FALL_BACK, wheel, **REFUSE), "WASMTIME_BACKTRACE_DETAILS is set")


def test_works_from_sixteen_threads_at_once(site: Path):
    code = """
        print(set(together(lambda: call(load_module('answer.wasm', strict=True)))))
        print(len(together(lambda: load_component('c.wasm', strict=True))))
        """
    assert run(code, site) == ["{42}", "16"]


def test_warns_once_from_sixteen_threads_at_once(site: Path):
    code = """
        load = lambda: print(set(together(lambda: call(load_module('answer.wasm')))))
        print(len(warned(load)))
        """
    assert run(code, site, **REFUSE) == ["{42}", "1"]


@pytest.mark.skipif(not hasattr(os, "sysconf"), reason="this system has no such limit")
def test_modules_leave_half_of_the_files_that_a_process_may_open(site: Path):
    """wasmtime keeps an artifact's file open for each module that it loads from a file."""
    code = """
        import os, resource
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        modules = [load_module('answer.wasm', strict=True) for _ in range(300)]
        print(call(modules[-1]))
        files = [os.open(_wazcache.__file__, os.O_RDONLY) for _ in range(120)]
        del modules
        print(*{os.close(file) for file in files}, os.open(_wazcache.__file__, os.O_RDONLY) < 128)
        """
    assert run(code, site) == ["42", "None True"]


@needs_fork
def test_works_in_a_forked_child_that_loads_first(site: Path):
    code = "print(in_fork(lambda: call(load_module('answer.wasm', strict=True)) == 42 or 1 / 0))"
    assert run(code, site) == ["0"]


@needs_fork
def test_works_in_a_forked_child_of_a_process_that_has_loaded(site: Path):
    code = """
        parent = load_module('answer.wasm', strict=True)
        def child():
            assert call(parent) == 42
            assert call(load_module('answer.wasm', strict=True)) == 42
            load_component('c.wasm', strict=True)
        print(in_fork(child), call(parent))
        """
    assert run(code, site) == ["0 42"]


@needs_fork
@pytest.mark.parametrize("own", ["None", "Engine()"])
def test_compiles_in_a_forked_child_of_a_process_that_has_compiled(own: str, site: Path):
    """A fork leaves wasmtime's threads behind, and to wait for them would never end."""
    code = f"""
        from wasmtime import Engine
        own = {own}
        load_module('data/deep/b.wasm', own)
        print(in_fork(lambda: call(load_module('answer.wasm', own), own) == 42 or 1 / 0))
        """
    assert run(code, site, **REFUSE)[-1] == "0"


def test_works_in_spawned_processes(site: Path):
    code = """
        from multiprocessing import get_context
        with get_context('spawn').Pool(2) as pool:
            print(*(status.precompiled for status in pool.map(status, assets())))
        """
    assert run(code, site) == [" ".join(["True"] * len(ASSETS))]


def test_works_without_assertions_and_docstrings(site: Path):
    code = "print(call(load_module('answer.wasm', strict=True)), status('answer.wasm').precompiled)"
    assert run(code, site, PYTHONOPTIMIZE="2") == ["42 True"]


def test_works_from_a_path_that_is_no_utf8(wheel: Path, tmp_path: Path):
    try:
        site = unpack(wheel, tmp_path / os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("this file system has UTF-8 paths only")
    code = """
        from importlib.resources import files
        for asset in assets():
            load = load_component if asset == 'c.wasm' else load_module
            load(asset, strict=True)
            load(files('demo') / asset, strict=True)
        print(status('answer.wasm').precompiled)
        """
    assert run(code, site) == ["True"]


def test_works_where_the_locale_is_c_and_names_are_not(wheel: Path, tmp_path: Path):
    site = unpack(wheel, tmp_path / "größer")
    code = f"""
        import sys
        from importlib.resources import files
        print(sys.getfilesystemencoding())
        print(load_module({UNICODE!a}, strict=True) is None)
        paths = (files('demo') / 'data').iterdir()
        (path,) = (path for path in paths if path.suffix == '.wasm')
        print(load_module(path, strict=True) is None)
        print(ascii(status(path).name) == ascii({UNICODE!a}))
        """
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(code, site, **locale) == ["ascii", "False", "False", "True"]
    (site / f"demo/{UNICODE}").with_suffix(f".{TARGET}.cwasm").unlink()
    compiled = run(f"print(load_module({UNICODE!a}) is None)", site, **locale)
    assert compiled[-1] == "False"


def test_works_on_a_file_system_mounted_noexec(site: Path, tmp_path: Path):
    """wasmtime cannot map the artifact's code from there, but load it from memory."""
    unshare = shutil.which("unshare")
    apart = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f'mount -t tmpfs -o noexec tmpfs "{tmp_path}"'
    if not unshare or subprocess.call([*apart, mount], stderr=subprocess.DEVNULL):
        pytest.skip(NO_MOUNT)
    code = f"""
        from wasmtime import Module, WasmtimeError
        print(call(load_module('answer.wasm', strict=True)), status('answer.wasm').precompiled)
        load_component('c.wasm', strict=True)
        try:
            Module.deserialize_file(engine(), {str(tmp_path / "demo" / ARTIFACT)!r})
        except WasmtimeError:
            print('mounted noexec indeed')
        """
    ran = subprocess.run(
        [*apart, f'{mount} && cp -R "{site}/demo" "{tmp_path}" && exec "$@"', "sh",
         sys.executable, "-c", PRELUDE + dedent(code)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["42 True", "mounted noexec indeed"]


def test_works_behind_a_symbolic_link_and_knows_paths_that_were_resolved(
    site: Path, tmp_path: Path
):
    (tmp_path / "site").symlink_to(site)
    code = """
        from pathlib import Path
        import demo
        folder = Path(demo.__file__).parent
        assert folder != folder.resolve()
        print(status(folder / 'answer.wasm').name, status(folder.resolve() / 'answer.wasm').name)
        print(status('answer.wasm').artifact)
        """
    artifact = tmp_path / "site/demo" / ARTIFACT
    assert run(code, tmp_path / "site") == ["answer.wasm answer.wasm", str(artifact)]


def test_works_where_every_file_is_a_symbolic_link(wheel: Path, tmp_path: Path):
    """As `uv pip install --link-mode symlink` leaves them."""
    store, site = unpack(wheel, tmp_path / "store"), tmp_path / "site"
    for path in store.rglob("*"):
        if path.is_file():
            link = site / path.relative_to(store)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    code = """
        from pathlib import Path
        folder = Path(_wazcache.__file__).resolve().parent
        print(call(load_module('answer.wasm', strict=True)), status(folder / 'answer.wasm').name)
        """
    assert run(code, site) == ["42 answer.wasm"]


def test_works_where_only_bytecode_is_shipped(own_site: Path):
    compileall.compile_dir(own_site / "demo", quiet=1, legacy=True)
    for source in (own_site / "demo").glob("*.py"):
        source.unlink()
    code = """
        print(call(load_module('answer.wasm', strict=True)), _wazcache.__file__[-4:])
        """
    assert run(code, own_site) == ["42 .pyc"]


def test_works_after_the_current_folder_has_changed(site: Path, tmp_path: Path):
    code = f"""
        import os, sys
        os.chdir({str(site)!r})
        sys.path.insert(0, '')
        {PRELUDE.replace(chr(10), chr(10) + " " * 8)}
        os.chdir({str(tmp_path)!r})
        print(call(load_module('answer.wasm', strict=True)))
        """
    assert run_python(dedent(code), tmp_path).output.splitlines() == ["42"]


@pytest.mark.parametrize("python", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_works_on_every_python_from_3_9(python: str, site: Path):
    interpreter = environment_of(
        f"wasmtime=={version('wasmtime')}", python=find_python(python), with_ours=False
    )
    code = """
        from importlib.resources import files
        print(call(load_module(files('demo') / 'answer.wasm', strict=True)))
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        print(type(load_component('c.wasm', strict=True)).__name__)
        print(*together(lambda: status('answer.wasm').precompiled))
        """
    answers = ["42", "42", "Component", " ".join(["True"] * 16)]
    assert run(code, site, interpreter, PYTHONWARNINGS="error") == answers
    reason = "the environment variable WASMTIME_BACKTRACE_DETAILS is set"
    check_fall_back(run(FALL_BACK, site, interpreter, **REFUSE), reason)
