"""The loader finds the artifacts of a companion without importing it, or says why it cannot."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.companion_sites import (
    COMPANION,
    FOLDER,
    change_companion,
    installed,
    pack,
    split,
)
from tests.support.environments import environment_with
from tests.support.loading import (
    ARTIFACT,
    FALL_BACK,
    UNICODE,
    change_manifest,
    check_fall_back,
    run,
    several_engines,
)
from tests.support.manifests import with_new_fields
from tests.support.marks import as_ordinary_user
from tests.support.wheels import TARGET, unpack

LOADED = "print(status('answer.wasm').artifact)"
REASON = "print(status('answer.wasm').reason)"

WATCH = """
import sys
asked = []
class Finder:
    @staticmethod
    def find_spec(name, *_):
        asked.append(name)
sys.meta_path.insert(0, Finder)
"""


def paths(*folders: Path) -> Path:
    """Join folders as entries of the import path, the first one first."""
    return Path(os.pathsep.join(map(str, folders)))


def test_all_assets_load_from_a_companion_beside_the_package(own_site: Path):
    folder = split(own_site)
    code = """
        import sys
        print(call(load_module('answer.wasm', strict=True)))
        print(call(load_module('answer.wasm', profile='fuel', strict=True), engine('fuel'), 1000))
        for asset in assets():
            load = load_component if asset == 'c.wasm' else load_module
            load(asset, strict=True)
        print(status('answer.wasm').artifact)
        print('demo_wasmtime' in sys.modules, 'importlib.metadata' in sys.modules)
        """
    assert run(code, own_site) == ["42", "42", str(folder / ARTIFACT), "False False"]


def test_optional_fields_of_a_later_release_are_ignored(own_site: Path):
    """A package and its companion may come from different releases of hatch-wazcache."""
    folder = split(own_site)
    change_manifest(own_site, with_new_fields)
    change_companion(folder, with_new_fields)
    code = """
        print(call(load_module('answer.wasm', strict=True)))
        load_component('c.wasm', strict=True)
        print(status('answer.wasm').artifact)
        """
    assert run(code, own_site) == ["42", str(folder / ARTIFACT)]


def test_a_companion_elsewhere_on_the_path_is_found(own_site: Path, tmp_path: Path):
    """As in the folder of --target, in the user's site-packages, with an editable package."""
    folder = split(own_site, tmp_path / "other")
    for entries in ((own_site, tmp_path / "other"), (tmp_path / "other", own_site)):
        assert run(LOADED, paths(*entries)) == [str(folder / ARTIFACT)]


def test_a_companion_that_a_pth_file_names_is_found(own_site: Path, tmp_path: Path):
    folder = split(own_site, tmp_path / "other")
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site/companion.pth").write_text(f"{tmp_path / 'other'}\n")
    code = f"import site; site.addsitedir({str(tmp_path / 'site')!r})\n{LOADED}"
    assert run(code, own_site) == [str(folder / ARTIFACT)]


@pytest.mark.parametrize("both", [True, False], ids=["in one archive", "in two archives"])
def test_package_and_companion_in_archives(own_site: Path, tmp_path: Path, both: bool):
    split(own_site, None if both else tmp_path / "other")
    package = pack(own_site, tmp_path / "package.zip")
    archives = [package] if both else [package, pack(tmp_path / "other", tmp_path / "other.zip")]
    code = f"print(call(load_module('answer.wasm', strict=True)))\n{LOADED}"
    expected = archives[-1] / FOLDER / "demo" / ARTIFACT
    assert run(code, paths(*archives)) == ["42", str(expected)]


def test_a_package_on_disk_and_its_companion_in_an_archive(own_site: Path, tmp_path: Path):
    split(own_site, tmp_path / "other")
    archive = pack(tmp_path / "other", tmp_path / "other.zip")
    code = f"print(call(load_module({UNICODE!r}, strict=True) and load_module('answer.wasm')))"
    assert run(f"{code}\n{LOADED}", paths(own_site, archive)) == [
        "42",
        str(archive / FOLDER / "demo" / ARTIFACT),
    ]


def test_a_package_in_an_archive_and_its_companion_on_disk(own_site: Path, tmp_path: Path):
    folder = split(own_site, tmp_path / "other")
    archive = pack(own_site, tmp_path / "package.zip")
    assert run(LOADED, paths(archive, tmp_path / "other")) == [str(folder / ARTIFACT)]


def test_a_nested_package_in_a_namespace_package(wheel: Path, tmp_path: Path):
    site = tmp_path / "site"
    unpack(wheel, tmp_path / "flat")
    (site / "space/inner").mkdir(parents=True)
    (tmp_path / "flat/demo").rename(site / "space/inner/demo")
    folder = split(site, None, "space/inner/demo")
    other = tmp_path / "other"
    (other / "space").mkdir(parents=True)  # another part of the namespace package
    code = "from space.inner.demo._wazcache import *\n" + LOADED
    unpack(wheel, other)  # so that the prelude finds a demo
    assert run(code, paths(other, site)) == [str(folder / ARTIFACT)]
    moved = tmp_path / "moved"
    moved.mkdir()
    (site / FOLDER).rename(moved / FOLDER)
    found = moved / FOLDER / "space/inner/demo" / ARTIFACT
    assert run(code, paths(other, site, moved)) == [str(found)]


def test_two_packages_of_one_wheel_have_a_folder_each_in_the_companion(wheel: Path, tmp_path: Path):
    site = unpack(wheel, tmp_path / "site")
    shutil.copytree(site / "demo", site / "second")
    folders = [split(site, None, name) for name in ("demo", "second")]
    code = "import second._wazcache\nprint(second._wazcache.status('answer.wasm').artifact)\n"
    assert run(code + LOADED, site) == [str(folders[1] / ARTIFACT), str(folders[0] / ARTIFACT)]


def test_where_the_packages_own_artifact_loads_there_is_no_look_for_a_companion(own_site: Path):
    shutil.copytree(own_site, own_site / "other")
    split(own_site / "other")
    change_manifest(own_site, lambda m: m.update(companion={"name": COMPANION, "cpu": []}))
    (own_site / FOLDER / "demo").mkdir(parents=True)
    (own_site / FOLDER / "demo/_wazcache.json").write_text("damaged")
    code = f"{WATCH}\n{LOADED}\nprint('demo_wasmtime' in asked)\nsys.meta_path.remove(Finder)"
    assert run(code, own_site) == [str(own_site / "demo" / ARTIFACT), "False"]
    (own_site / "demo" / ARTIFACT).write_bytes(b"damaged")
    assert run(code, own_site)[-1] == "True"


def test_the_companion_helps_where_the_packages_own_artifacts_are_refused(own_site: Path):
    shutil.copytree(own_site / "demo", own_site / "other/demo")
    folder = split(own_site / "other", own_site)
    change_manifest(own_site, lambda m: m.update(companion={"name": COMPANION, "cpu": []}))
    (own_site / "demo" / ARTIFACT).write_bytes(b"damaged")
    assert run(LOADED, own_site) == [str(folder / ARTIFACT)]


def test_of_two_companions_the_one_that_fits_is_taken(own_site: Path, tmp_path: Path):
    """The user's folder has one, and site-packages, where the package lies, an older one."""
    split(own_site)
    shutil.copytree(own_site / FOLDER, tmp_path / "user" / FOLDER)
    folder = own_site / FOLDER / "demo"
    change_companion(folder, lambda m: m["assets"]["answer.wasm"].update(sha256="0" * 64))
    found = tmp_path / "user" / FOLDER / "demo" / ARTIFACT
    for entries in ((own_site, tmp_path / "user"), (tmp_path / "user", own_site)):
        code = f"print(*warned(lambda: load_module('answer.wasm')))\n{LOADED}"
        said = run(code, paths(*entries))
        # The first folder of the path is the only one that Python finds.
        if entries[0] == own_site:
            assert said[0].startswith("answer.wasm is compiled now, which takes time: demo-wasm")
        else:
            assert said == ["", str(found)]


def test_no_companion_is_silent_and_status_names_it(own_site: Path):
    split(own_site)
    shutil.rmtree(own_site / FOLDER)
    reason = "demo-wasmtime, which has the artifacts, is not installed"
    expected = ["42 42", "", reason, f"answer.wasm is not precompiled (strict): {reason}"]
    assert run(FALL_BACK, own_site) == expected
    (own_site / FOLDER / "demo/__pycache__").mkdir(parents=True)  # an uninstalled one
    assert run(FALL_BACK, own_site) == expected


def test_the_empty_companion_is_silent_and_status_names_it(own_site: Path):
    split(own_site)
    shutil.rmtree(own_site / FOLDER)
    installed(own_site, "0")
    reason = (
        "demo-wasmtime 0 is installed, which is empty: the installer found none for this package, "
        f"{TARGET} and wasmtime 48.0.0"
    )
    expected = ["42 42", "", reason, f"answer.wasm is not precompiled (strict): {reason}"]
    assert run(FALL_BACK, own_site) == expected


def test_a_companion_without_its_files_is_said_so(own_site: Path):
    split(own_site)
    shutil.rmtree(own_site / FOLDER)
    installed(own_site, "48.1.0")
    assert run(REASON, own_site) == [
        "demo-wasmtime 48.1.0 is installed, but its files are not found"
    ]


def test_a_companion_for_another_wasmtime_is_named_with_what_to_install(own_site: Path):
    several_engines(own_site, "48.0.0", "47.0.0")
    split(own_site)
    reason = (
        "compiled for wasmtime 48 or 47, installed is 50.0.1; install wasmtime>=48,<49, or a "
        "version of demo-wasmtime with artifacts for the installed one"
    )
    check_fall_back(run(FALL_BACK, own_site, environment_with("50.0.1")), reason, reason)


def test_the_versions_of_package_and_companion_are_named_together(own_site: Path):
    shutil.copytree(own_site / "demo", own_site / "other/demo")
    several_engines(own_site / "other", "47.0.0")
    split(own_site / "other", own_site)
    change_manifest(own_site, lambda m: m.update(companion={"name": COMPANION, "cpu": []}))
    (reason,) = run(REASON, own_site, environment_with("50.0.1"))
    assert reason.startswith("compiled for wasmtime 48 or 47, installed is 50.0.1; install ")


def answer(manifest: dict) -> dict:
    return manifest["assets"]["answer.wasm"]


def first(manifest: dict) -> dict:
    return answer(manifest)["artifacts"][0]


DAMAGED = "/demo/_wazcache.json is damaged: install demo-wasmtime again"
ODD: dict[str, tuple[Callable[[dict], object], str]] = {
    "of another version": (
        lambda m: (answer(m).update(sha256="0" * 64), m["package"].update(version="0.9")),
        "demo-wasmtime is for another answer.wasm, that of demo 0.9: install it again",
    ),
    "without the asset": (
        lambda m: m["assets"].pop("answer.wasm"),
        "demo-wasmtime has no artifact of answer.wasm (",
    ),
    "with other settings": (
        lambda m: m["profiles"].update(default={"consume-fuel": True}),
        "demo-wasmtime has other settings for the profile default (",
    ),
    "without the profile": (
        lambda m: m["profiles"].pop("default"),
        "demo-wasmtime has other settings for the profile default (",
    ),
    "for another system": (
        lambda m: [a.update(target="riscv64-plan9") for a in answer(m)["artifacts"]],
        f"demo-wasmtime has none for {TARGET}",
    ),
    "of a later schema": (lambda m: m.update(schema=3), "is of another version of hatch-wazcache"),
    "without assets": (lambda m: m.pop("assets"), DAMAGED),
    "with a list of assets": (lambda m: m.update(assets=[]), DAMAGED),
    "with an odd asset": (lambda m: m["assets"].update({"answer.wasm": "x"}), DAMAGED),
    "without a digest": (lambda m: answer(m).pop("sha256"), DAMAGED),
    "without its package": (
        lambda m: (answer(m).update(sha256=1), m.pop("package")),
        DAMAGED,
    ),
    "with odd profiles": (lambda m: m.update(profiles=7), DAMAGED),
    "with odd artifacts": (lambda m: answer(m).update(artifacts=[1]), DAMAGED),
    "with no list of artifacts": (lambda m: answer(m).update(artifacts=None), DAMAGED),
    "with an odd file": (lambda m: first(m).update(file=["x"]), DAMAGED),
    "with an odd name of a file": (lambda m: first(m).update(file="\ud800"), DAMAGED),
    "with an odd engine": (lambda m: first(m).update(wasmtime="new"), DAMAGED),
    "with an odd size": (lambda m: first(m).update(size=[]), DAMAGED),
    "with an odd target": (lambda m: first(m).pop("target"), DAMAGED),
    "with an odd profile": (lambda m: first(m).update(profile={}, target=TARGET), ""),
    "with a file that is missing": (lambda m: first(m).update(file="\0"), "the file is missing"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_companion_that_does_not_fit_is_a_reason_to_compile(own_site: Path, odd: str):
    change, reason = ODD[odd]
    change_companion(split(own_site), change)
    check_fall_back(run(FALL_BACK, own_site), reason, "")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\udcff"])
def test_a_manifest_of_a_companion_that_is_none_is_a_reason_to_compile(own_site: Path, text: str):
    path = split(own_site) / "_wazcache.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    said = run(FALL_BACK, own_site)
    check_fall_back(said, str(path), "")


def test_a_manifest_that_is_a_folder_is_a_reason_to_compile(own_site: Path):
    path = split(own_site) / "_wazcache.json"
    path.unlink()
    path.mkdir()
    check_fall_back(run(FALL_BACK, own_site), f"{path} cannot be read (", "")


@as_ordinary_user
def test_a_manifest_that_may_not_be_read_is_a_reason_to_compile(own_site: Path):
    path = split(own_site) / "_wazcache.json"
    path.chmod(0)
    check_fall_back(run(FALL_BACK, own_site), f"{path} cannot be read (", "")


FAILS = """
class Finder:
    @staticmethod
    def find_spec(name, *_):
        if name == 'demo_wasmtime':
            raise ImportError
sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize(
    "broken",
    [
        FAILS,
        FAILS.replace("ImportError", "RuntimeError"),
        "sys.modules['demo_wasmtime'] = None",
        "sys.modules['demo_wasmtime'] = object()",
        "sys.modules['demo_wasmtime'] = type(sys)('demo_wasmtime')",
    ],
)
def test_an_import_system_that_fails_does_not_break_the_loader(own_site: Path, broken: str):
    split(own_site)
    shutil.rmtree(own_site / FOLDER)
    code = f"import sys\n{broken}\n{REASON}\nsys.meta_path[:] = []"
    assert run(code, own_site) == ["demo-wasmtime, which has the artifacts, is not installed"]


def test_a_companion_of_an_editable_package_is_refused_once_the_wasm_changes(own_site: Path):
    split(own_site)

    def change(manifest: dict) -> None:
        status = (own_site / "demo/answer.wasm").stat()
        answer(manifest).update(mtime_ns=status.st_mtime_ns, ctime_ns=0, inode=0)

    change_manifest(own_site, change)
    assert run(LOADED, own_site) == [str(own_site / FOLDER / "demo" / ARTIFACT)]
    path = own_site / "demo/answer.wasm"
    path.write_bytes(path.read_bytes().replace(b"answer", b"chance"))
    (reason,) = run(REASON, own_site)
    assert "the .wasm has changed since" in reason
