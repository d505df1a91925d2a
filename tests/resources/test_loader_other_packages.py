"""The loader of a runtime package loads the assets of other packages, if they are installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.companion_sites import installed, pack, split
from tests.support.environments import UNMEASURED
from tests.support.loading import ARTIFACT, REFUSE, UNICODE, change_manifest, home
from tests.support.runtimes import run
from tests.support.wasm import ANSWER


def test_an_asset_of_another_package_loads_from_its_artifact(both: Path):
    code = f"""
        import os
        from importlib.resources import files
        from pathlib import Path
        demo = {str(both / "demo")!r}
        print(call(load_module(demo + '/answer.wasm', strict=True)))
        print(call(load_module(files('demo') / 'answer.wasm', strict=True)))
        fueled = load_module(Path(demo, 'answer.wasm'), profile='fuel', strict=True)
        print(call(fueled, engine('fuel'), 1000))
        load_module(Path(demo, 'data/deep/b.wasm'), strict=True)
        load_module(Path(demo, {UNICODE!r}), strict=True)
        load_component(Path(demo, 'c.wasm'), strict=True)
        os.chdir(Path(demo, 'data'))
        print(call(load_module('../answer.wasm', strict=True)))
        print(call(load_module('deep/../../answer.wasm', strict=True)))
        print(*status('../answer.wasm'), sep='|')
        print(assets())
        """
    assert run(code, both) == [
        *["42"] * 5,
        f"demo/answer.wasm|default|True|{both / 'demo' / ARTIFACT}|None",
        "[]",
    ]


def test_a_package_that_no_code_imports_loads_in_a_millisecond_or_two_without_metadata(both: Path):
    """importlib.metadata alone takes longer."""
    code = f"""
        import sys
        load_module({str(both / "demo/answer.wasm")!r}, strict=True)
        print('importlib.metadata' in sys.modules, 'hashlib' in sys.modules, 'demo' in sys.modules)
        """
    assert run(code, both, **UNMEASURED) == ["False False False"]


def test_a_package_that_is_installed_while_the_program_runs_has_artifacts(
    both: Path, tmp_path: Path
):
    (info,) = both.glob("demo-*.dist-info")
    info.rename(tmp_path / info.name)
    code = f"""
        import importlib.util, os
        importlib.util.find_spec('nothing')  # lists the folder
        path = {str(both / "demo/answer.wasm")!r}
        print('is not used: no installed' in refused(lambda: load_module(path)))
        os.rename({str(tmp_path / info.name)!r}, {str(info)!r})
        print(status(path).precompiled)
        """
    assert run(code, both) == ["True", "True"]


def test_a_companion_of_another_package_has_artifacts_for_it(both: Path):
    folder = split(both)
    record = next(both.glob("demo-*.dist-info/RECORD"))
    assert ARTIFACT in record.read_text("utf-8")
    code = f"print(status({str(both / 'demo/answer.wasm')!r}).artifact)"
    assert run(code, both) == [str(folder / ARTIFACT)]
    shutil.rmtree(both / "demo_wasmtime")
    installed(both, "0")
    code = f"print(status({str(both / 'demo/answer.wasm')!r}).reason)"
    assert run(code, both)[0].startswith("demo-wasmtime 0 is installed, which is empty")


def test_an_asset_without_its_wasm_loads_by_the_path_that_it_would_have(both: Path):
    (both / "demo/answer.wasm").unlink()

    def change(manifest: dict) -> None:
        manifest["assets"]["answer.wasm"]["wasm"] = None

    change_manifest(both, change)
    code = f"print(call(load_module({str(both / 'demo/answer.wasm')!r}, strict=True)))"
    assert run(code, both) == ["42"]


def test_other_settings_of_a_profile_are_a_reason_and_the_wasm_is_compiled(both: Path):
    """wasmtime does not check all settings, so such an artifact is not even tried."""

    def change(manifest: dict) -> None:
        manifest["profiles"]["default"] = {"cranelift-nan-canonicalization": True}
        del manifest["profiles"]["fuel"]

    change_manifest(both, change)
    code = f"""
        path = {str(both / "demo/answer.wasm")!r}
        print(status(path).reason)
        print(status(path, profile='fuel').reason)
        print(*warned(lambda: print(call(load_module(path)))))
        """
    reason = "demo was compiled with other settings for the profile default"
    assert run(code, both) == [
        reason,
        "demo was compiled for the profile default, not for fuel",
        "42",
        f"demo/answer.wasm is compiled now, which takes time: {reason}",
    ]


def test_where_artifacts_of_another_package_are_refused_its_wasm_is_compiled(both: Path):
    code = f"""
        path = {str(both / "demo/answer.wasm")!r}
        print(*warned(lambda: print(call(load_module(path)), call(load_module(path)))))
        print(refused(lambda: load_module(path, fallback='error')))
        """
    works, warning, error = run(code, both, **REFUSE)
    assert works == "42 42"
    assert warning.startswith(f"demo/answer.wasm is compiled now, which takes time: {ARTIFACT}: ")
    assert error.startswith('demo/answer.wasm is not precompiled (fallback "error"): ')


def test_the_fallback_of_the_package_with_the_asset_counts(both: Path):
    change_manifest(both, lambda manifest: manifest.update(fallback="error"))
    code = f"print(refused(lambda: load_module({str(both / 'demo/answer.wasm')!r})))"
    assert run(code, both, **REFUSE)[0].startswith("demo/answer.wasm is not precompiled (fallback")


# A foreign file


def test_a_foreign_file_is_compiled_and_kept_only_if_the_caller_says_so(both: Path, tmp_path: Path):
    file = tmp_path / "downloads/x.wasm"
    file.parent.mkdir()
    file.write_bytes(ANSWER)
    code = f"""
        import os
        from pathlib import Path
        path = Path({str(file)!r})
        print(refused(lambda: load_module(path)))
        print(refused(lambda: status(path)))
        print(warned(lambda: print(call(load_module(path, foreign=True)))))
        print(load_module(path, foreign=True) is load_module(str(path), foreign=True))
        os.chdir(path.parent)
        print(load_module('x.wasm', foreign=True) is load_module(path, foreign=True))
        print(load_module('../downloads/x.wasm', foreign=True) is load_module(path, foreign=True))
        print(refused(lambda: load_module(path, foreign=True, strict=True)))
        print(refused(lambda: load_component(path, foreign=True)))
        print(refused(lambda: load_module('none.wasm', foreign=True)))
        fueled = load_module(path, profile='fuel', foreign=True, fallback='compile')
        print(call(fueled, engine('fuel'), 1000))
        """
    said = run(code, both, **home(tmp_path))
    missing = "[Errno 2] No such file or directory: 'none.wasm'"
    none = f"there is no asset {file}. To compile the file {file}, pass foreign=True"
    assert said[:7] == [none, none, "42", "[]", "True", "True", "True"]
    assert said[7:10] == [
        f"{file} is not precompiled (strict): it is no asset of an installed package",
        f"{file} is a module: use load_module",
        f"none.wasm is no asset, and no file that can be read ({missing})",
    ]
    assert said[10] == "42"
    assert len(list(tmp_path.rglob("wazcache-fallback/*.cwasm"))) == 1


def test_the_status_of_a_foreign_file_says_why_it_is_compiled(both: Path, tmp_path: Path):
    """It raises what loading raises, so it also needs `foreign=True`."""
    (tmp_path / "x.wasm").write_bytes(ANSWER)
    shutil.copytree(both / "demo", tmp_path / "downloads/demo")
    code = f"""
        file = {str(tmp_path / "x.wasm")!r}
        download = {str(tmp_path / "downloads/demo/answer.wasm")!r}
        print(*status(file, profile='fuel', foreign=True), sep='|')
        print(bool(status(download, foreign=True)), status(download, foreign=True).reason)
        print(bool(status({str(both / "demo/answer.wasm")!r}, foreign=True)))
        print(refused(lambda: status('none.wasm', foreign=True)))
        print(refused(lambda: status(file)) == refused(lambda: load_module(file)) != None)
        """
    none = "it is no asset of an installed package"
    manifest = tmp_path / "downloads/demo/_wazcache.json"
    missing = "[Errno 2] No such file or directory: 'none.wasm'"
    untrusted = "no installed distribution has it, the .wasm and the artifacts"
    assert run(code, both) == [
        f"{tmp_path / 'x.wasm'}|fuel|False|None|{none}",
        f"False {manifest} is not used: {untrusted}",
        "True",
        f"none.wasm is no asset, and no file that can be read ({missing})",
        "True",
    ]


def test_a_foreign_file_can_be_a_component_or_lie_in_a_zip(both: Path, tmp_path: Path):
    folder = tmp_path / "foreign"
    folder.mkdir()
    shutil.copy(both / "demo/c.wasm", folder)
    (folder / "a.wasm").write_bytes(ANSWER)
    archive = pack(folder, tmp_path / "foreign.zip")
    code = f"""
        import zipfile
        component = load_component({str(folder / "c.wasm")!r}, foreign=True)
        archive = zipfile.Path({str(archive)!r})
        print(load_component(archive / 'c.wasm', foreign=True) is component)
        print(call(load_module(archive / 'a.wasm', foreign=True)))
        print(refused(lambda: load_module(archive / 'c.wasm', foreign=True)))
        print(refused(lambda: load_module(archive / 'none.wasm', foreign=True))[:20])
        """
    assert run(code, both) == [
        "True",
        "42",
        f"{archive / 'c.wasm'} is a component: use load_component",
        f"{archive}"[:20],
    ]


def test_a_file_in_a_package_that_its_manifest_does_not_name_is_foreign(both: Path):
    shutil.copy(both / "demo/answer.wasm", both / "demo/other.wasm")
    code = f"""
        path = {str(both / "demo/other.wasm")!r}
        print(refused(lambda: load_module(path)))
        print(warned(lambda: print(call(load_module(path, foreign=True)))))
        """
    path = both / "demo/other.wasm"
    none = f"there is no asset {path}. To compile the file {path}, pass foreign=True"
    assert run(code, both) == [none, "42", "[]"]
