"""The loader in a built wheel: the promises to authors and users."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.environments import UNMEASURED
from tests.support.loading import ARTIFACT, ASSETS, REFUSE, UNICODE, change_manifest, run
from tests.support.projects import run_python
from tests.support.wheels import TARGET

# What loads


def test_a_module_loads_precompiled_and_runs(site: Path):
    assert run("print(call(load_module('answer.wasm', strict=True)))", site) == ["42"]


def test_a_component_loads_precompiled(site: Path):
    code = "print(type(load_component('c.wasm', strict=True)).__name__)"
    assert run(code, site) == ["Component"]


def test_the_wrong_function_names_the_right_one(site: Path):
    code = """
        print(refused(lambda: load_module('c.wasm')))
        print(refused(lambda: load_component('answer.wasm')))
        """
    assert run(code, site) == [
        "c.wasm is a component: use load_component",
        "answer.wasm is a module: use load_module",
    ]


def test_assets_are_listed_by_name(site: Path):
    assert run("print(ascii(assets()))", site) == [ascii(ASSETS)]


def test_status_tells_which_artifact_loads(site: Path):
    code = "print(*status('data/deep/b.wasm', profile='fuel'), sep='\\n')"
    artifact = str(site / f"demo/data/deep/b.{TARGET}.fuel.cwasm")
    assert run(code, site) == ["data/deep/b.wasm", "fuel", "True", artifact, "None"]


def test_status_compiles_nothing_and_warns_of_nothing(own_site: Path):
    for path in (own_site / "demo").rglob("*.wasm"):
        path.unlink()
    code = "print(warned(lambda: print(*map(status, assets()), sep='\\n')))"
    *statuses, warnings = run(code, own_site, **REFUSE, PYTHONIOENCODING="utf-8")
    assert len(statuses) == len(ASSETS)
    assert all("precompiled=False" in status for status in statuses)
    assert warnings == "[]"


def test_status_is_true_if_an_artifact_loads(own_site: Path):
    (own_site / f"demo/c.{TARGET}.cwasm").unlink()
    code = "print(bool(status('answer.wasm')), bool(status('c.wasm')), len(status('c.wasm')))"
    assert run(code, own_site) == ["True False 5"]


# Names


@pytest.mark.parametrize(
    "name",
    [
        "'data/deep/b.wasm'",
        "Path(os.path.relpath(Path(demo.__file__).parent / 'data/deep/b.wasm'))",
        "Path(demo.__file__).parent / 'data/deep/b.wasm'",
        "str(Path(demo.__file__).parent / 'data/deep/b.wasm')",
        "os.path.relpath(str(Path(demo.__file__).parent / 'data/deep/b.wasm'))",
        "files('demo') / 'data/deep/b.wasm'",
        "files('demo').joinpath('data', 'deep', 'b.wasm')",
    ],
)
def test_an_asset_may_be_named_by(name: str, site: Path):
    code = f"""
        import demo, os
        from importlib.resources import files
        from pathlib import Path
        print(status({name}).name, bool(load_module({name}, strict=True)))
        """
    assert run(code, site) == ["data/deep/b.wasm True"]


def test_names_may_have_spaces_and_any_letters(site: Path):
    code = f"""
        from importlib.resources import files
        load_module({UNICODE!r}, strict=True)
        load_module(files('demo') / {UNICODE!r}, strict=True)
        """
    assert run(code, site) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "data",
        "nothing.wasm",
        "../demo/answer.wasm",
        "data/../answer.wasm",
        "/answer.wasm",
        "answer.wasm/",
        ARTIFACT,
        "_wazcache.json",
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_known(name: str, site: Path):
    """Nor does a name lead out of the package."""
    (said,) = run(f"print(ascii(refused(lambda: load_module({name!r}))))", site)
    assert said == ascii(f"there is no asset {name}; there is {', '.join(ASSETS)}")


OTHER = b"\0asm\1\0\0\0"


def test_a_name_that_is_also_the_path_of_another_file_is_an_error_that_names_both(
    site: Path, tmp_path: Path
):
    """A program passes on the paths of its users: the asset must not run in place of the file."""
    other = tmp_path / "data/deep/b.wasm"
    other.parent.mkdir(parents=True)
    other.write_bytes(OTHER)
    code = f"""
        import os
        os.chdir({str(tmp_path)!r})
        print(refused(lambda: load_module('data/deep/b.wasm')))
        print(status({str(site / "demo/data/deep/b.wasm")!r}).name)
        """
    error, name = run(code, site)
    asset = site / "demo/data/deep/b.wasm"
    assert error == (
        f"data/deep/b.wasm is an asset's name, and also another file, {other}. For the asset, "
        f"pass its full path, {asset}. To compile the file, pass its full path, with foreign=True"
    )
    assert name == "data/deep/b.wasm"


@pytest.mark.parametrize("same", ["the file itself", "a copy"])
def test_a_name_that_is_also_the_path_of_the_same_wasm_is_the_asset(
    same: str, site: Path, tmp_path: Path
):
    folder = site / "demo" if same == "the file itself" else tmp_path
    if same == "a copy":
        (tmp_path / "data/deep").mkdir(parents=True)
        (tmp_path / "data/deep/b.wasm").write_bytes((site / "demo/data/deep/b.wasm").read_bytes())
    code = f"""
        import os
        os.chdir({str(folder)!r})
        print(bool(load_module('data/deep/b.wasm', strict=True)))
        """
    assert run(code, site) == ["True"]


def test_a_name_without_a_folder_is_always_the_asset(site: Path, tmp_path: Path):
    (tmp_path / "answer.wasm").write_bytes(OTHER)
    code = f"""
        import os
        os.chdir({str(tmp_path)!r})
        print(call(load_module('answer.wasm', strict=True)))
        """
    assert run(code, site) == ["42"]


def test_a_path_starts_at_the_current_folder_and_is_never_taken_for_a_name(
    site: Path, tmp_path: Path
):
    (tmp_path / "answer.wasm").write_bytes(OTHER)
    code = f"""
        import os
        from pathlib import Path
        os.chdir({str(tmp_path)!r})
        print(ascii(refused(lambda: load_module(Path('answer.wasm')))))
        print(ascii(refused(lambda: load_module(Path('data/deep/b.wasm')))))
        print(ascii(refused(lambda: load_module({str(tmp_path / "answer.wasm")!r}))))
        """
    file, name, absolute = run(code, site)
    assert file == ascii(
        f"there is no asset answer.wasm; there is {', '.join(ASSETS)}. To compile the file "
        f"{tmp_path / 'answer.wasm'}, pass foreign=True"
    )
    assert name.endswith(
        ". A relative path starts at the current folder: pass 'data/deep/b.wasm', a str\""
    )
    assert absolute.endswith(
        f". To compile the file {tmp_path / 'answer.wasm'}, pass foreign=True'"
    )


def test_an_unknown_profile_is_an_error_that_lists_the_known(site: Path):
    code = """
        import wasmtime
        print(refused(lambda: engine('fule')))
        print(refused(lambda: status('answer.wasm', profile='fule')))
        print(refused(lambda: load_module('answer.wasm', profile='fule')))
        print(refused(lambda: load_module('answer.wasm', wasmtime.Engine(), profile='fule')))
        """
    assert run(code, site) == ["there is no profile fule; there is default, fuel"] * 4


def test_a_profile_that_an_asset_was_not_compiled_for_is_said_so(site: Path):
    """It would take as long to load as if nothing were precompiled."""
    code = """
        print(refused(lambda: load_component('c.wasm', profile='fuel', strict=True)))
        print(status('c.wasm', profile='fuel').reason)
        """
    reason = "it was compiled for the profile default, not for fuel"
    assert run(code, site) == [f"c.wasm is not precompiled (strict): {reason}", reason]


# Engines and profiles


def test_the_only_profile_of_a_package_needs_no_name(own_site: Path):
    def keep_fuel(manifest: dict) -> None:
        del manifest["profiles"]["default"]

    change_manifest(own_site, keep_fuel)
    code = """
        print(call(load_module('answer.wasm', strict=True), engine(), 1000))
        print(status('answer.wasm').profile, engine() is engine('fuel'))
        """
    assert run(code, own_site) == ["42", "fuel True"]


def test_without_a_default_among_several_profiles_one_must_be_named(own_site: Path):
    def rename(manifest: dict) -> None:
        manifest["profiles"]["epoch"] = manifest["profiles"].pop("default")

    change_manifest(own_site, rename)
    code = "print(refused(lambda: load_module('answer.wasm')))"
    assert run(code, own_site) == ["there is no profile default; there is epoch, fuel"]


def test_the_engine_has_the_settings_of_the_profile(site: Path):
    code = """
        from wasmtime import Store, WasmtimeError
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        try:
            Store(engine()).set_fuel(1)
        except WasmtimeError as error:
            print(error)
        """
    assert run(code, site) == ["42", "fuel is not configured in this store"]


def test_there_is_one_engine_for_a_profile_however_it_is_asked_for(site: Path):
    code = """
        print(engine() is engine('default') is engine(profile='default') is engine(cache=False))
        print(engine() is engine('fuel'))
        """
    assert run(code, site) == ["True", "False"]


def test_there_is_one_engine_for_a_profile_also_under_threads(site: Path):
    assert run("print(len(set(together(engine))))", site) == ["1"]


def test_a_setting_that_the_installed_wasmtime_lacks_is_an_error(own_site: Path):
    def change(manifest: dict) -> None:
        manifest["profiles"]["fuel"]["wasm-teleportation"] = True

    change_manifest(own_site, change)
    assert run("print(refused(lambda: engine('fuel')))", own_site) == [
        "the installed wasmtime has no setting wasm_teleportation (profile fuel)"
    ]


def test_an_own_engine_with_the_settings_of_the_profile_loads_the_artifact(site: Path):
    code = """
        from wasmtime import Config, Engine
        own = Engine()
        print(call(load_module('answer.wasm', own, strict=True), own))
        config = Config()
        config.consume_fuel = True
        own = Engine(config)
        print(call(load_module('answer.wasm', own, profile='fuel', strict=True), own, 1000))
        """
    assert run(code, site) == ["42", "42"]


def test_an_own_engine_with_other_settings_gets_the_wasm_compiled_and_a_warning(site: Path):
    code = """
        from wasmtime import Config, Engine
        config = Config()
        config.epoch_interruption = True
        own = Engine(config)
        print(*warned(lambda: print(type(load_module('answer.wasm', own)).__name__)))
        print(refused(lambda: load_module('answer.wasm', own, strict=True)))
        print(status('answer.wasm', own).precompiled, status('answer.wasm').precompiled)
        """
    kind, warning, refusal, statuses = run(code, site)
    assert kind == "Module"
    assert "without epoch interruption but it is enabled for the host" in warning
    assert "without epoch interruption but it is enabled for the host" in refusal
    assert statuses == "False True"


# What loading costs


def test_loading_reads_no_wasm_and_hashes_nothing(own_site: Path):
    for path in (own_site / "demo").rglob("*.wasm"):
        path.unlink()
    code = """
        import os, sys, wasmtime, wasmtime.component
        opened = []
        sys.addaudithook(lambda event, about: event == 'open' and opened.append(str(about[0])))
        for asset in assets():
            (load_component if asset == 'c.wasm' else load_module)(asset, strict=True)
        opened = [path.rpartition('/')[2] for path in opened if '/demo/' in path]
        print(*(path for path in opened if not path.endswith(('.py', '.pyc'))))
        print('hashlib' in sys.modules or '_hashlib' in sys.modules, flush=True)
        os._exit(0)  # such a hook keeps all alive, so that wasmtime complains at a usual exit
        """
    assert run(code, own_site, **UNMEASURED) == ["_wazcache.json", "False"]


def test_importing_the_loader_only_defines(own_site: Path):
    """No wasmtime, no json, nothing read: the manifest could as well be missing."""
    (own_site / "demo/_wazcache.json").unlink()
    code = """
        import __future__, demo, os, sys, typing, warnings
        before = set(sys.modules)
        opened = []
        sys.addaudithook(lambda event, about: event == 'open' and opened.append(str(about[0])))
        import demo._wazcache
        print(*sorted(set(sys.modules) - before))
        print(*(path for path in opened if not path.endswith('.py') and '.pyc' not in path))
        """
    ran = run_python(dedent(code), own_site, PYTHONDONTWRITEBYTECODE="1")
    assert ran.output.splitlines() == ["demo._wazcache", ""]
