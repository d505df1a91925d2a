"""A loader that is committed works in a checkout that was never built."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
from wasmtime import wat2wasm

from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.resources import loader_text
from tests.support.loading import home, run
from tests.support.paths import ROOT
from tests.support.projects import Project
from tests.support.wheels import unpack

PROFILES = """
profiles.default = {}
profiles.fuel = {consume-fuel = true, address-map = false}
"""
ANSWER = '(module (func (export "answer") (result i32) i32.const 42))'
UNBUILT = "nothing was built yet; a wheel has artifacts, a checkout has none"


@pytest.fixture
def checkout(project: Project) -> Project:
    project.write("demo/_wazcache.py", loader_text())
    project.write("demo/answer.wasm", wat2wasm(ANSWER))
    project.wasm("demo/data/deep/b.wasm", "source-map__mappings.wasm")
    project.write("demo/.hidden/c.wasm", b"")
    return project


def test_a_checkout_compiles_the_wasm_beside_its_loader_keeps_it_and_does_not_warn(
    checkout: Project, tmp_path: Path
):
    code = """
        print(assets())
        print(warned(lambda: print(call(load_module('answer.wasm')), load_module('answer.wasm'))))
        print(*status('data/deep/b.wasm'), sep='|')
        print(refused(lambda: load_module('answer.wasm', strict=True)))
        print(refused(lambda: load_component('answer.wasm')))
        print(refused(lambda: load_module('none.wasm')))
        """
    said = run(code, checkout.root, **home(tmp_path))
    assert said[0] == "['a.wasm', 'answer.wasm', 'data/deep/b.wasm']"
    assert said[1].startswith("42 <wasmtime._module.Module")
    assert said[2:] == [
        "[]",
        f"data/deep/b.wasm|default|False|None|{UNBUILT}",
        f"answer.wasm is not precompiled (strict): {UNBUILT}",
        "answer.wasm is a module: use load_module",
        "there is no asset none.wasm; there is a.wasm, answer.wasm, data/deep/b.wasm",
    ]
    assert len(list(tmp_path.rglob("wazcache-fallback/*.cwasm"))) == 1


@pytest.mark.parametrize(
    "table",
    [
        "[tool.wazcache]",
        "[tool.hatch.build.hooks.wazcache]",
        "[tool.hatch.build.targets.wheel.hooks.wazcache]",
    ],
)
def test_a_checkout_has_the_profiles_and_the_fallback_of_its_pyproject(
    table: str, checkout: Project
):
    text = f'[project]\nname = "demo"\n{table}\nfallback = "compile"\n{PROFILES}'
    checkout.write("pyproject.toml", text)
    code = """
        import os
        from pathlib import Path
        print(call(load_module('answer.wasm', profile='fuel'), engine('fuel'), 1000))
        print(refused(lambda: engine('other')))
        print(refused(lambda: load_module('answer.wasm', fallback='error')))
        print(list(Path(os.environ['XDG_CACHE_HOME']).rglob('*.cwasm')))
        """
    assert run(code, checkout.root, **home(checkout.root / "home")) == [
        "42",
        "there is no profile other; there is default, fuel",
        f'answer.wasm is not precompiled (fallback "error"): {UNBUILT}',
        "[]",
    ]


def test_a_checkout_without_options_has_the_profile_default(checkout: Project):
    (checkout.root / "pyproject.toml").unlink()
    assert run("print(call(load_module('answer.wasm')))", checkout.root) == ["42"]


@pytest.mark.parametrize("profiles", ["", PROFILES])
def test_an_old_python_without_tomli_says_so_only_if_there_are_profiles(
    profiles: str, checkout: Project
):
    checkout.write("pyproject.toml", f"[tool.wazcache]\n{profiles}")
    code = """
        import sys
        sys.modules['tomllib'] = sys.modules['tomli'] = None
        print(refused(lambda: print(call(load_module('answer.wasm')))))
        """
    path = checkout.root / "pyproject.toml"
    wrong = f"{path} may have profiles of wazcache, and this Python cannot read it: install tomli"
    assert run(code, checkout.root) == ([wrong] if profiles else ["42", "None"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.wazcache", " cannot be read ("),
        ("[tool.wazcache]\nprofiles.fuel = 3", ": the profiles of wazcache are not tables"),
        ("[tool.wazcache]\nprofiles = 3", ": the profiles of wazcache are not tables"),
        (b"[tool.wazcache] # \xe9", " cannot be read ('utf-8' codec can't decode byte 0xe9"),
        ("[tool.wazcache]\nx = " + "[" * 3000, " cannot be read ("),
    ],
)
def test_a_wrong_pyproject_is_an_error_that_names_it(
    text: str | bytes, said: str, checkout: Project
):
    checkout.write("pyproject.toml", text)
    (wrong,) = run("print(refused(engine))", checkout.root)
    assert wrong.startswith(f"{checkout.root / 'pyproject.toml'}{said}")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("consume-fuel = 'yes'", "the setting consume-fuel cannot be 'yes' (profile default): "),
        ("cranelift-opt-level = 'no'", "the setting cranelift-opt-level cannot be 'no' (profile "),
        ("none = true", "the installed wasmtime has no setting none (profile default)"),
    ],
)
def test_a_wrong_setting_in_a_checkout_is_an_error_that_names_it(
    setting: str, said: str, checkout: Project
):
    checkout.write("pyproject.toml", f"[tool.wazcache.profiles.default]\n{setting}")
    (wrong,) = run("print(refused(engine))", checkout.root)
    assert wrong.startswith(said)


def test_a_checkout_cannot_name_a_cache_of_native_code(checkout: Project):
    path = checkout.root / "pyproject.toml"
    path.write_text("[tool.wazcache.profiles.default]\ncache = '/tmp/cache.toml'")
    assert run("print(refused(engine))", checkout.root) == [
        f"{path}: profiles.default.cache: there is no such setting"
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_checkout_does_not_read_the_pyproject_of_another_user(checkout: Project):
    path = checkout.root / "pyproject.toml"
    path.write_text("[tool.wazcache]\nfallback = 'error'")
    os.chown(path, 1234, 1234)
    assert run("print(call(load_module('answer.wasm')))", checkout.root) == ["42"]
    os.chown(checkout.root / "demo" / "_wazcache.py", 1234, 1234)
    (wrong,) = run("print(refused(lambda: load_module('answer.wasm')))", checkout.root)
    assert 'fallback "error"' in wrong


def test_a_wasm_that_is_made_or_changed_later_is_compiled(checkout: Project):
    code = f"""
        from pathlib import Path
        from wasmtime import wat2wasm
        demo = Path({str(checkout.root / "demo")!r})
        print(call(load_module('answer.wasm')))
        text = {ANSWER!r}
        (demo / 'answer.wasm').write_bytes(wat2wasm(text.replace('42', '43')))
        (demo / 'later.wasm').write_bytes(wat2wasm(text.replace('42', '44')))
        print(call(load_module('answer.wasm')), call(load_module('later.wasm')))
        print(call(load_module(demo / 'later.wasm')))
        """
    assert run(code, checkout.root) == ["42", "43 44", "44"]


def test_a_name_in_a_checkout_that_is_also_another_file_is_an_error(
    checkout: Project, tmp_path: Path
):
    other = tmp_path / "data/deep/b.wasm"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"\0asm\1\0\0\0")
    code = f"""
        import os
        os.chdir({str(tmp_path)!r})
        print(refused(lambda: load_module('data/deep/b.wasm')))
        os.chdir({str(checkout.root / "demo")!r})
        print(refused(lambda: load_module('data/deep/b.wasm')))
        """
    wrong, right = run(code, checkout.root)
    assert wrong.startswith(f"data/deep/b.wasm is an asset's name, and also another file, {other}")
    assert right == "None"


def test_an_installed_package_without_its_manifest_says_what_is_missing(own_site: Path):
    (own_site / "demo/_wazcache.json").unlink()
    (said,) = run("print(refused(lambda: load_module('answer.wasm')))", own_site)
    assert said.startswith(f"{own_site / 'demo/_wazcache.json'} cannot be read (")
    assert said.endswith("; hatch-wazcache writes it when it builds this package")
    assert "; `hatch-wazcache compile` adds it to a finished wheel; " in said


def test_a_manifest_that_a_build_writes_counts(checkout: Project, tmp_path: Path):
    built = checkout.build()
    site = unpack(built.wheel, tmp_path / "site")
    assert run("print(status('a.wasm').precompiled)", site) == ["True"]


def test_the_loader_knows_the_settings_that_no_engine_has():
    module = runpy.run_path(str(ROOT / "hatch_wazcache/resources/loader.py"))
    only = {name for name, setting in SETTINGS.items() if setting.cli_only}
    assert set(module["_COMPILER_ONLY"]) == only
