"""The places of assets and artifacts in the wheel, for every layout that hatchling supports."""

from __future__ import annotations

import os
import zipfile

import pytest

from tests.support.layouts import DEMO, LAYOUTS, built_layout
from tests.support.paths import ROOT
from tests.support.projects import Built, Project
from tests.support.wasm import tiny
from tests.support.wheels import TARGET, members, ours, precompiled, unpack


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_declared_asset_is_in_the_wheel_where_the_layout_puts_it(name, tmp_path):
    layout = LAYOUTS[name]
    _, built = built_layout(name)
    assert members(built) == layout.wheel
    for place, source in layout.at.items():
        assert built.read(place) == tiny(source)
    artifacts = {place: place.removesuffix("wasm") + f"{TARGET}.cwasm" for place in layout.at}
    assert precompiled(unpack(built.wheel, tmp_path / "site")) == artifacts


def test_a_package_that_force_include_brings_from_outside_the_root_holds_an_asset(project):
    project.options('assets = ["rust/a.wasm"]')
    project.append("[tool.hatch.build.targets.wheel.force-include]\n")
    project.append('"../outside/pkg" = "demo/pkg"\n"rust/a.wasm" = "demo/pkg/data/a.wasm"\n')
    project.wasm("rust/a.wasm")
    (project.root / "demo/a.wasm").unlink()
    outside = Project(project.root.parent / "outside", project.cache)
    outside.write("pkg/__init__.py")
    outside.write("pkg/plain.wasm", tiny("not declared"))
    assert members(project.build()) == {
        "demo/__init__.py", "demo/pkg/__init__.py", "demo/pkg/plain.wasm",
        *ours("demo/pkg", "data/a"),
    }  # fmt: skip


@pytest.mark.parametrize("other", ["../other.wasm", "built/other.wasm"])
def test_a_file_that_force_include_puts_in_an_assets_place_is_an_error(project, other):
    project.write(other, tiny("other"))
    project.append(f'[tool.hatch.build.targets.wheel.force-include]\n"{other}" = "demo/a.wasm"\n')
    built = project.build()
    assert built.status != 0
    assert built.wheel is None
    assert "would both be demo/a.wasm in the wheel" in built.output
    assert "Traceback" not in built.output


@pytest.mark.parametrize("kind", ["shared-data", "extra-metadata"])
@pytest.mark.parametrize("folder", [True, False])
def test_data_of_an_assets_relative_path_outside_the_package_stays(project, kind, folder):
    source, target = ("share", "demo") if folder else ("share/a.wasm", "demo/a.wasm")
    project.write("share/a.wasm", tiny("shared"))
    project.append(f'[tool.hatch.build.targets.wheel.{kind}]\n"{source}" = "{target}"\n')
    built = project.build()
    place = {
        "shared-data": "demo-1.0.data/data",
        "extra-metadata": "demo-1.0.dist-info/extra_metadata",
    }
    assert built.read(f"{place[kind]}/demo/a.wasm") == tiny("shared")
    assert {name for name in members(built) if ".data/" not in name} == DEMO


def test_a_shared_script_is_as_without_us(project):
    project.write("tool.sh", "#!/bin/sh\n").chmod(0o755)
    project.append('[tool.hatch.build.targets.wheel.shared-scripts]\n"tool.sh" = "tool.sh"\n')
    built = project.build()
    assert members(built) == {*DEMO, "demo-1.0.data/scripts/tool.sh"}
    assert mode(built, "demo-1.0.data/scripts/tool.sh") == 0o755


def test_five_hundred_assets(project, tmp_path):
    names = [f"{number:03}" for number in range(500)]
    for name in names:
        project.write(f"demo/{name}.wasm", tiny(name))
    (project.root / "demo/a.wasm").unlink()
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", *names)}
    assert len(precompiled(unpack(built.wheel, tmp_path / "site"))) == 500


def test_no_loader_if_the_option_says_so(project):
    project.options('assets = ["demo/*.wasm"]\nloader = false')
    assert members(project.build()) == DEMO - {"demo/_wazcache.py"}


def test_without_the_wasm_the_artifact_still_loads(project, tmp_path):
    project.options('assets = ["demo/*.wasm"]\nkeep-wasm = false')
    built = project.build()
    assert members(built) == DEMO - {"demo/a.wasm"}
    assert precompiled(unpack(built.wheel, tmp_path)) == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}


def test_an_artifact_is_named_after_target_cpu_and_profile(project, tmp_path):
    project.options("""\
assets = ["demo/a.wasm", {path = "demo/b.wasm", profiles = ["metered"]}]
cpu = "x86-64-v2"
[tool.hatch.build.hooks.wazcache.profiles.default]
[tool.hatch.build.hooks.wazcache.profiles.metered]
consume-fuel = true
""")
    project.wasm("demo/b.wasm")
    built = project.build()
    assert precompiled(unpack(built.wheel, tmp_path)) == {
        "demo/a.wasm": f"demo/a.{TARGET}.x86-64-v2.cwasm",
        "demo/a.wasm:metered": f"demo/a.{TARGET}.x86-64-v2.metered.cwasm",
        "demo/b.wasm:metered": f"demo/b.{TARGET}.x86-64-v2.metered.cwasm",
    }
    assert len(members(built)) == 1 + 2 + 2 + 3


def test_an_old_loader_of_ours_in_the_tree_is_replaced_by_the_current_one(project):
    project.write("demo/_wazcache.py", "# The loader of hatch-wazcache: old\nraise OSError\n")
    built = project.build()
    assert members(built) == DEMO
    assert (
        built.read("demo/_wazcache.py")
        == (ROOT / "hatch_wazcache/resources/loader.py").read_bytes()
    )


def test_a_module_of_the_loaders_name_that_is_not_ours_is_never_replaced(project):
    project.write("demo/_wazcache.py", "mine = 1\n")
    built = project.build()
    assert built.status != 0
    assert built.wheel is None
    assert "demo/_wazcache.py, a file that is not from hatch-wazcache" in built.output
    assert (project.root / "demo/_wazcache.py").read_text() == "mine = 1\n"


def test_an_asset_that_an_earlier_hook_makes_is_compiled(project, tmp_path):
    content = (project.root / "demo/a.wasm").read_bytes()
    (project.root / "demo/a.wasm").unlink()
    project.write("compiler-output", content)
    project.write(".gitignore", "*.wasm\n")
    project.write(
        "hatch_build.py",
        """\
import shutil
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        shutil.copy("compiler-output", "demo/a.wasm")
""",
    )
    project.options('[tool.hatch.build.hooks.wazcache]\nassets = ["demo/*.wasm"]',
                    "tool.hatch.build.hooks.custom")  # fmt: skip
    built = project.build()
    assert members(built) == DEMO
    assert precompiled(unpack(built.wheel, tmp_path)) == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}


@pytest.mark.parametrize("data", [b"compressible" * 800_000, os.urandom(9 << 20)])
def test_a_base_member_over_8_mb_is_copied_and_the_person_is_told(project, data):
    project.write("demo/model.bin", data)
    built = project.build()
    assert members(built) == {*DEMO, "demo/model.bin"}
    assert built.read("demo/model.bin") == data
    assert "demo/model.bin (" in built.output


def test_a_cache_inside_the_package_is_never_in_the_wheel(project):
    project.options('assets = ["demo/*.wasm"]\ncache-dir = "demo/cache"')
    project.environment["WAZCACHE_DIR"] = ""
    cold = project.build()
    assert members(cold) == DEMO
    assert list((project.root / "demo/cache").glob("wasmtime-*/*.zip"))
    data = cold.wheel.read_bytes()
    assert project.build().wheel.read_bytes() == data


def test_a_build_directory_that_is_part_of_the_package_gets_nothing_of_ours(project):
    project.append('[tool.hatch.build]\ndirectory = "demo/dist"\n')
    built = project.build()
    assert built.status == 0, built.output
    (wheel,) = (project.root / "demo/dist").iterdir()
    assert members(Built(0, "", wheel)) == DEMO


# the bytes


def mode(built: Built, name: str) -> int:
    return zipfile.ZipFile(built.wheel).getinfo(name).external_attr >> 16 & 0o7777


def test_the_executable_bit_stays_and_other_permissions_are_made_equal(project):
    (project.root / "demo/a.wasm").chmod(0o740)
    project.wasm("demo/b.wasm").chmod(0o600)
    built = project.build()
    assert (mode(built, "demo/a.wasm"), mode(built, "demo/b.wasm")) == (0o755, 0o644)
    assert mode(built, f"demo/a.{TARGET}.cwasm") == 0o644


def test_not_reproducible_keeps_an_assets_own_permissions_and_time(project):
    asset = project.root / "demo/a.wasm"
    asset.chmod(0o640)
    os.utime(asset, (1_600_000_000, 1_600_000_000))
    project.append("[tool.hatch.build]\nreproducible = false\n")
    built = project.build(TZ="UTC")
    assert members(built) == DEMO
    assert mode(built, "demo/a.wasm") == 0o640
    info = zipfile.ZipFile(built.wheel).getinfo("demo/a.wasm")
    assert info.date_time == (2020, 9, 13, 12, 26, 40)


@pytest.mark.parametrize(
    ("epoch", "stamp"), [("1600000001", (2020, 9, 13, 12, 26, 40)), ("0", (1980, 1, 1, 0, 0, 0))]
)
def test_source_date_epoch_stamps_every_member(project, epoch, stamp):
    built = project.build(SOURCE_DATE_EPOCH=epoch)
    assert members(built) == DEMO
    infos = zipfile.ZipFile(built.wheel).infolist()
    assert {info.date_time for info in infos} == {stamp}


def test_the_umask_changes_no_byte(project):
    wheels = set()
    for umask in (0o000, 0o077):
        project.cache = project.root.parent / f"cache{umask}"
        before = os.umask(umask)
        try:
            wheels.add(project.build().wheel.read_bytes())
        finally:
            os.umask(before)
    assert len(wheels) == 1


# hatchling's own switches


def test_without_hooks_the_wheel_is_hatchlings_own(project):
    built = project.build(HATCH_BUILD_NO_HOOKS="true")
    assert members(built) == {"demo/__init__.py", "demo/a.wasm"}
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"


def test_hooks_only_fills_the_cache_and_leaves_no_file(project):
    before = project.tree()
    assert project.build(HATCH_BUILD_HOOKS_ONLY="true").status == 0
    assert project.tree() == before
    assert list((project.root / "dist").iterdir()) == []
    assert "0 compiled, 1 found" in project.build().output


def test_a_hook_that_is_off_by_default_can_be_turned_on(project):
    project.options('assets = ["demo/*.wasm"]\nenable-by-default = false')
    assert members(project.build()) == {"demo/__init__.py", "demo/a.wasm"}
    assert members(project.build(HATCH_BUILD_HOOK_ENABLE_WAZCACHE="true")) == DEMO


def test_a_name_that_is_not_normalized_is_kept(project):
    project.options('assets = ["demo/*.wasm"]')
    text = (project.root / "pyproject.toml").read_text().replace('"demo"', '"De.Mo"')
    project.write("pyproject.toml", text + '[tool.hatch.build.targets.wheel]\npackages = ["demo"]\n'
                  "strict-naming = false\n")  # fmt: skip
    built = project.build()
    assert members(built) == DEMO
    assert built.wheel.name.startswith("De.Mo-1.0-py3-none-")
