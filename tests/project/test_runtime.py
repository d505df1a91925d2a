"""The option `runtime`: what its wheel says, and where a project and its runtime part ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from hatch_wazcache.cache.fetching import fetch, find_fetched, verify_fetched
from hatch_wazcache.cache.items import wheels
from hatch_wazcache.cache.location import mark_as_cache
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.project.config import Config
from hatch_wazcache.project.engine_requirement import EngineRequirement
from hatch_wazcache.project.options import read_config
from hatch_wazcache.project.runtime import Runtime, is_at_hand, read_runtime
from hatch_wazcache.project.with_runtime import with_runtime
from hatch_wazcache.resources import loader_text
from tests.support.fetching import Installers, wheel
from tests.support.wheels import unpack

WHERE = "tool.wazcache.runtime"
PROFILES = {"fueled": {"consume-fuel": True}, "plain": {}}
MANIFEST = json.dumps({"schema": 2, "profiles": PROFILES, "assets": {}}).encode()
FILES = {
    "wz_rt/__init__.py": b"raise SystemExit('imported')",
    "wz_rt/_wazcache.py": loader_text(),
    "wz_rt/_wazcache.json": MANIFEST,
}
WASMTIME = "Requires-Dist: wasmtime<48,>=44\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions."""
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def install(site: Path, files: dict[str, bytes] = FILES, metadata: str = WASMTIME) -> None:
    """Install a runtime."""
    unpack(wheel(site.parent / "links", "1.0", files, name="wz-rt", metadata=metadata), site)


def read(requirement: str = "wz-rt~=1.0") -> Runtime:
    return read_runtime(requirement, WHERE, lambda _requirement: None)


def problem() -> str:
    with pytest.raises(WazcacheError) as caught:
        read()
    text = str(caught.value)
    assert text.startswith(f'{WHERE} = "wz-rt~=1.0": ')
    return text.removeprefix(f'{WHERE} = "wz-rt~=1.0": ')


def options(**table: Any) -> Config:
    """Read options, with `_` for `-` in their names."""
    given = {"assets": ["a.wasm"], "runtime": "wz-rt~=1.0"}
    given |= {name.replace("_", "-"): value for name, value in table.items()}
    return read_config(given, "tool.wazcache", {}, Path("/project"))


def wrong(**table: Any) -> list[str]:
    with pytest.raises(WazcacheError) as caught:
        options(**table)
    return [line.removeprefix("tool.wazcache.") for line in str(caught.value).splitlines()]


def complete(
    dependencies: list[str], extras: dict[str, list[str]] | None = None, **table: Any
) -> tuple[Config, EngineRequirement, tuple[str, ...]]:
    config = options(**table)
    requirement = EngineRequirement.of(dependencies, extras or {}, None)
    return with_runtime(config, requirement, Path("/project"), may_fetch=False)


def test_the_installed_runtime_says_the_profiles_and_the_wasmtime(site: Path):
    install(site)
    runtime = read()
    assert (str(runtime), runtime.wasmtime) == ("wz-rt 1.0", ("wasmtime<48,>=44",))
    assert {name: one.settings for name, one in runtime.profiles.items()} == PROFILES
    assert is_at_hand("wz-rt~=1.0")
    assert not is_at_hand("wz-rt>=2")


def test_requirements_of_extras_count_where_somebody_asks_for_them(site: Path):
    install(
        site,
        metadata='Requires-Dist: wasmtime>=44 ; python_version >= "3.9"\n'
        'Requires-Dist: wasmtime==47.* ; extra == "old"\nProvides-Extra: old\n',
    )
    always = 'wasmtime>=44; python_version >= "3.9"'
    assert read().wasmtime == (always,)
    assert read("wz-rt[old]").wasmtime == (always, "wasmtime==47.*")


def test_the_dependencies_of_an_installed_runtime_may_require_wasmtime(site: Path):
    install(site, metadata="Requires-Dist: wz-more\n")
    unpack(wheel(site / "links", "1.0", {}, name="wz-more", metadata=WASMTIME), site)
    assert read().wasmtime == ("wasmtime<48,>=44",)


def test_an_installed_runtime_of_another_version_does_not_count(site: Path):
    install(site)
    with pytest.raises(WazcacheError, match=r"is neither installed here nor fetched"):
        read("wz-rt>=2")


def test_metadata_that_no_installer_accepts_is_passed_over(site: Path):
    install(site, metadata=f"Requires-Dist: a b c\n{WASMTIME}")
    assert read().wasmtime == ("wasmtime<48,>=44",)
    info = site / "wz_rt-1.0.dist-info" / "METADATA"
    info.write_text(info.read_text("utf-8").replace("Version: 1.0", "Version: one"), "utf-8")
    assert not is_at_hand("wz-rt")


def test_a_package_that_is_no_runtime_is_named(site: Path):
    install(site, {"wz_rt/__init__.py": b""})
    assert problem().startswith("wz-rt 1.0 has no manifest of hatch-wazcache;")


def test_a_runtime_without_a_loader_loads_nothing(site: Path):
    install(site, {name: data for name, data in FILES.items() if name != "wz_rt/_wazcache.py"})
    assert problem().startswith("wz-rt 1.0 has no loader beside wz_rt/_wazcache.json")


def test_a_runtime_has_one_manifest(site: Path):
    install(site, {**FILES, "wz_rt/more/_wazcache.json": MANIFEST})
    assert problem().startswith(
        "wz-rt 1.0 has 2 manifests (wz_rt/_wazcache.json, wz_rt/more/_wazcache.json)"
    )


def test_the_manifest_of_a_runtime_is_not_trusted(site: Path):
    hostile = {"schema": 2, "profiles": {"../../x": {}, "ok": {"jit": 3}}, "assets": {}}
    install(site, {**FILES, "wz_rt/_wazcache.json": json.dumps(hostile).encode()})
    lines = problem().splitlines()
    assert 'profiles["../../x"]: must be named with' in lines[0]
    assert 'profiles["ok"].jit: there is no such setting' in lines[1]


def test_an_editable_install_of_the_runtime_is_refused(site: Path):
    origin = json.dumps({"url": "file:///wz", "dir_info": {"editable": True}}).encode()
    install(site, {**FILES, "wz_rt-1.0.dist-info/direct_url.json": origin})
    assert problem().startswith("wz-rt 1.0 is an editable install; a build needs its wheel")


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_a_fetched_runtime_is_only_data(name: str, tmp_path: Path, monkeypatch):
    installers = Installers(name, tmp_path, monkeypatch)
    installers.offline()
    code = {
        "wz_rt.pth": b"import wz_rt\n",
        "wasmtime_cli/wasmtime": b"#!",
        "wz_rt-1.0.dist-info/entry_points.txt": SCRIPT,
    }
    wheel(installers.links, "1.0", {**FILES, **code}, name="wz-rt", metadata=WASMTIME)
    engines = tmp_path / "cache" / "engines"
    engines.parent.mkdir(mode=0o700)
    mark_as_cache(engines.parent)
    folder = fetch(engines, Requirement("wz-rt~=1.0"), WHERE)
    assert find_fetched(engines, Requirement("wz-rt")) == folder
    assert verify_fetched(folder) is None
    assert [
        path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o111
    ] == []
    assert not (folder / "bin").exists()
    runtime = read_runtime("wz-rt~=1.0", WHERE, lambda _requirement: folder)
    assert (str(runtime), runtime.wasmtime) == ("wz-rt 1.0", ("wasmtime<48,>=44",))
    assert [(item.key, item.engine) for item in wheels(engines.parent)] == [(folder.name, None)]
    (folder / "wz_rt/_wazcache.json").write_bytes(MANIFEST.replace(b"true", b"null"))
    assert "wz_rt/_wazcache.json has another digest" in str(verify_fetched(folder))


SCRIPT = b"[console_scripts]\nwz-rt = wz_rt:main\n"


def test_a_project_gets_the_profiles_and_the_wasmtime_of_its_runtime(site: Path):
    install(site)
    config, requirement, warnings = complete(["wz-rt~=1.0"])
    assert config.loader is None
    assert {name: one.settings for name, one in config.profiles.items()} == PROFILES
    assert [asset.profiles for asset in config.assets] == [("fueled", "plain")]
    assert (requirement.lines, requirement.where) == (
        ("wasmtime<48,>=44",),
        "the runtime wz-rt 1.0",
    )
    assert warnings == ()


def test_both_requirements_on_wasmtime_count(site: Path):
    install(site)
    _, requirement, warnings = complete(["wz-rt~=1.0", "wasmtime>=46"])
    assert requirement.lines == ("wasmtime>=46", "wasmtime<48,>=44")
    assert requirement.where == "project.dependencies and the runtime wz-rt 1.0"
    assert warnings == ()


def test_requirements_on_wasmtime_that_contradict_each_other_give_a_warning(site: Path):
    install(site)
    _, _, (warning,) = complete(["wz-rt~=1.0", "wasmtime>=48"])
    assert warning == (
        "project.dependencies says wasmtime>=48, but the runtime wz-rt 1.0 requires "
        "wasmtime<48,>=44: no installer can install both"
    )


@pytest.mark.parametrize(
    "line", ["wz-rt~=1.0", "WZ_RT >=1.0,<2", "wz-rt==1.5", "wz-rt>=1.0.2,==1.*"]
)
def test_a_dependency_that_the_option_admits_gives_no_warning(line: str, site: Path):
    install(site)
    assert complete([line])[2] == ()
    assert complete([], {"wasm": [line]})[2] == ()


@pytest.mark.parametrize(
    ("line", "other"),
    [("wz-rt", "0.0"), ("wz-rt>=0.9", "0.9"), ("wz-rt>=1.0", "2.0"), ("wz-rt!=3", "2")],
)
def test_a_dependency_that_admits_other_runtimes_gives_a_warning(line, other, site: Path):
    install(site)
    (warning,) = complete([line])[2]
    assert warning.startswith(f'project.dependencies says "{line}", which admits wz-rt ')
    assert Requirement(line).specifier.contains(warning.partition("admits wz-rt ")[2].split(",")[0])


def test_a_runtime_that_nobody_installs_gives_a_warning(site: Path):
    install(site)
    (warning,) = complete(["click"])[2]
    assert warning == (
        'tool.wazcache.runtime = "wz-rt~=1.0": no dependency names wz-rt, so no installer installs '
        'it; add "wz-rt~=1.0" to project.dependencies'
    )


def test_stripped_sections_that_a_profile_of_the_runtime_needs_are_an_error(site: Path):
    needs = {"schema": 2, "profiles": {"d": {"debug-info": True}}, "assets": {}}
    install(site, {**FILES, "wz_rt/_wazcache.json": json.dumps(needs).encode()})
    with pytest.raises(WazcacheError, match=r'strip: must not contain "debug": the runtime wz-rt'):
        complete(["wz-rt"], strip="debug")


def test_what_the_runtime_has_the_project_must_not_have():
    loader, profiles = wrong(loader="a/_w.py", profiles={"fast": {}})
    assert loader == (
        'loader = "a/_w.py": must be false, or left out, beside tool.wazcache.runtime, which has '
        "the loader"
    )
    assert profiles == (
        "profiles: must be left out beside tool.wazcache.runtime, which has the profiles"
    )
    assert options(loader=False).loader is None


@pytest.mark.parametrize(
    "value", [3, "", "wz rt", "wasmtime>=48", "a @ file:///a", 'a; python_version > "3"', ["a"]]
)
def test_a_runtime_is_a_requirement_on_another_distribution(value):
    (line,) = wrong(runtime=value)
    assert "must be a requirement on a runtime package such as" in line


def test_the_names_of_profiles_are_checked_when_the_runtime_is_read(site: Path):
    install(site)
    asset = {"path": "a.wasm", "profiles": ["plain", "slow"]}
    with pytest.raises(WazcacheError, match=r"the profile slow is none of the runtime wz-rt"):
        complete(["wz-rt"], assets=[asset])
    (line,) = wrong(assets=[{"path": "a.wasm", "profiles": []}])
    assert "profiles = []: must be a list with some of the runtime's profiles" in line


def test_without_assets_only_a_loader_makes_sense():
    table = {"loader": "rt/_w.py", "cpu": "x86-64-v3", "targets": "all", "runtime": "wz-rt"}
    with pytest.raises(WazcacheError) as caught:
        read_config(table, "tool.wazcache", {}, Path("/project"))
    said = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert said == [f"tool.wazcache.{name}" for name in ("cpu", "runtime", "targets")]
    variables = {"WAZCACHE_TARGET": "x86_64-linux"}
    config = read_config({"assets": [], "loader": "rt/_w.py"}, "", variables, Path())
    assert [target.name for target in config.targets] == ["any"]
    with pytest.raises(WazcacheError, match=r"assets is missing"):
        read_config({"loader": False}, "tool.wazcache", {}, Path("/project"))
