"""Finished wheels of any backend, compiled: the promises of `compile_wheels`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.packing.wheel_options import engines_of
from hatch_wazcache.project.options import read_config
from hatch_wazcache.report import Report
from hatch_wazcache.resources import loader_text
from hatch_wazcache.util.toml_text import toml_value
from tests.support.doctored import Wheel
from tests.support.engines import give_engine
from tests.support.projects import STOCK_PYPROJECT, Built, Project
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET, engines, members, ours, precompiled, unpack

STOCK = f"""\
{STOCK_PYPROJECT.replace('"wasmtime>=48,<49"', '"wasmtime>=47,<49", "demo-wasmtime"')}\
license = "MIT"
license-files = ["LICENSE"]

[project.scripts]
demo = "demo:main"

[tool.hatch.build.targets.wheel.shared-data]
"data" = "share/demo"
"""
ASSETS = "demo/**/*.wasm"
ANY = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"
BROKEN = b"\0asm\1\0\0\0\3\2\1\7"
"""A module whose sections are whole, but whose only function has no type and no code."""


def padded(data: bytes) -> bytes:
    """Make a module that does nothing, with data in a custom section."""
    size = len(data) + 2
    leb = bytes(size >> 7 * n & 0x7F | (0x80 if n < 4 else 0) for n in range(5))
    return b"\0asm\1\0\0\0\0" + leb + b"\1x" + data


class Compiled:
    """Compiles wheels in this process, and keeps what the report says."""

    def __init__(self, cache: Path, folder: Path) -> None:
        self.cache = cache
        self.folder = folder
        self.lines: list[str] = []
        self.report = Report(self.lines.append, self.lines.append)

    def __call__(self, *wheels: Path, in_place: bool = False, **options: Any) -> list[Path]:
        self.report = Report(self.lines.append, self.lines.append)
        table = {"assets": ["**/*.wasm"], "cache-dir": str(self.cache), **keys(options)}
        config = read_config(table, "option", {}, self.folder)
        opened: list[FinishedWheel] = []
        try:
            opened += map(FinishedWheel, wheels)
            folder = None if in_place else self.folder
            return compile_wheels(opened, lambda _wheel: config, folder, self.report)
        finally:
            for wheel in opened:
                wheel.close()

    def one(self, *wheels: Path, **options: Any) -> Path:
        """Compile for this machine alone."""
        (made,) = self(*wheels, **{"targets": "native", **options})
        return made

    def refuses(self, *wheels: Path, **options: Any) -> str:
        """Return the message about wheels; nothing is written, and nothing is left."""
        was_there = self.folder.exists()
        before = {path: path.read_bytes() for path in wheels if path.is_file()}
        with pytest.raises(WazcacheError) as caught:
            self(*wheels, **options)
        assert self.folder.exists() == was_there
        assert {path: path.read_bytes() for path in before} == before
        for folder in {path.parent for path in before}:
            assert [path for path in folder.iterdir() if ".wazcache" in path.name] == []
        return str(caught.value)


def keys(options: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in options.items()}


def build(project: Project, **env: str) -> Path:
    shutil.rmtree(project.root / "dist", ignore_errors=True)
    built = project.hatchling("-t", "wheel", **env)
    assert built.wheel is not None, built.output
    return built.wheel


def hook(project: Project, **options: Any) -> None:
    """Give the project the hook, and these options."""
    lines = [f"{name} = {toml_value(value)}" for name, value in keys(options).items()]
    table = "\n".join(["[tool.hatch.build.hooks.wazcache]", *lines])
    project.write("pyproject.toml", f"{STOCK}\n{table}\n")


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that is built once, and a cache that has its artifacts for this machine."""
    folder = tmp_path_factory.mktemp("stock")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", STOCK)
    project.write("LICENSE", "the license")
    project.write("data/table.txt", "data")
    project.write("demo/__init__.py", "raise ImportError('nothing of the wheel is run')\n")
    project.write("demo/tool.sh", "#!/bin/sh\n").chmod(0o755)
    project.write("demo/a.wasm", ANSWER)
    project.write("demo/sub/b.wasm", padded(b"b" * 20_000)).chmod(0o755)
    wheel = build(project)
    Compiled(project.cache, folder / "made").one(wheel)
    return project


@pytest.fixture
def project(_built: Project, tmp_path: Path) -> Project:
    """A copy of the project, with a copy of the warm cache."""
    root, cache = tmp_path / "project", tmp_path / "cache"
    shutil.copytree(_built.root, root)
    shutil.copytree(_built.cache, cache)
    return Project(root, cache)


@pytest.fixture
def stock(project: Project) -> Path:
    """The wheel that hatchling makes without a hook."""
    return project.root / "dist" / ANY


@pytest.fixture
def compiled(project: Project, tmp_path: Path) -> Compiled:
    return Compiled(project.cache, tmp_path / "wheelhouse")


def doctored(stock: Path, name: str = "", **members: bytes | None) -> Path:
    """Change members of the wheel, and its name; None removes a member."""
    wheel = Wheel(stock)
    wheel.name = name or wheel.name
    for path, data in members.items():
        if data is None:
            del wheel.members[path]
        else:
            wheel.members[path] = data
    return wheel.write(stock.parent / "doctored")


def everything(wheel: Path) -> dict[str, tuple[bytes, int, tuple[int, ...]]]:
    """Return the data, the attributes and the time stamp of each member."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename: (archive.read(info), info.external_attr, info.date_time)
            for info in archive.infolist()
        }


# the same as the hook


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"engines": ["48"]},
        {"engines": ["47", "48"]},
        {"strip": ["name"], "fallback": "compile"},
        {"profiles": {"fuel": {"consume-fuel": True}, "default": {}}},
        {"cpu": ["x86-64-v3", "baseline"]},
        {"loader": "demo/sub/_ours.py", "assets": ["demo/sub/*.wasm"]},
        {"loader": False},
        {"keep_wasm": False},
    ],
    ids=lambda options: "-".join(options) or "defaults",
)
def test_the_compiled_wheel_and_the_hooks_wheel_are_the_same_bytes(
    project: Project, stock: Path, compiled: Compiled, options: dict[str, Any]
):
    if options.get("engines") == ["47", "48"]:
        give_engine(project.cache)
    made = compiled.one(stock, **options)
    hook(project, **{"assets": [ASSETS], **options})
    hooks = build(project)
    assert made.name == hooks.name
    assert made.read_bytes() == hooks.read_bytes()


def test_a_cold_cache_gives_the_same_bytes(stock: Path, compiled: Compiled, tmp_path: Path):
    cold = Compiled(tmp_path / "empty", tmp_path / "cold").one(stock)
    made = compiled.one(stock)
    assert (compiled.report.compiled, compiled.report.found) == (0, 2)
    assert made.read_bytes() == cold.read_bytes()


def test_the_wheel_for_any_is_the_hooks(project: Project, stock: Path, compiled: Compiled):
    native, made = sorted(compiled(stock), key=lambda path: path.name == ANY)
    assert (TARGET.partition("-")[0] in native.name, made.name) == (True, ANY)
    hook(project, assets=[ASSETS])
    assert made.read_bytes() == build(project, WAZCACHE_TARGET="any").read_bytes()


def test_companions_are_those_that_the_builder_makes(
    project: Project, stock: Path, compiled: Compiled
):
    options = {"companion": "demo-wasmtime", "engines": ["48"], "targets": "native"}
    made = compiled(stock, **options)
    hook(project, assets=[ASSETS], **options)
    shutil.rmtree(project.root / "dist")
    done = project.run("hatchling", "build", "-t", "wazcache")
    assert done.status == 0, done.output
    built = {path.name: path.read_bytes() for path in (project.root / "dist").iterdir()}
    assert len(built) == 3
    assert {path.name: path.read_bytes() for path in made} == built
    assert {path.name for path in compiled.folder.iterdir()} == built.keys()


def test_globs_of_a_source_folder_fit(stock: Path, compiled: Compiled):
    made = compiled.one(stock, assets=["src/demo/*.wasm"], loader="src/demo/_ours.py")
    names = members(Built(0, "", made))
    assert f"demo/a.{TARGET}.cwasm" in names
    assert f"demo/sub/b.{TARGET}.cwasm" not in names
    assert "demo/_ours.py" in names
    said = "no glob of assets matches them in a package: demo/sub/b.wasm"
    assert said in "".join(compiled.lines)
    message = Compiled(compiled.cache, compiled.folder / "no").refuses(stock, assets=["b.wasm"])
    assert message.endswith(
        'option.assets: "b.wasm" matches no file in the wheel; there are demo/a.wasm, '
        "demo/sub/b.wasm"
    )


# what is kept


def test_a_compiled_wheel_loads_its_artifacts(stock: Path, compiled: Compiled, tmp_path: Path):
    made = compiled.one(doctored(stock, **{"demo/__init__.py": b""}))
    assert ours("demo", "a", "sub/b") < members(Built(0, "", made))
    loaded = precompiled(unpack(made, tmp_path / "site"))
    assert loaded == {f"demo/{name}.wasm": f"demo/{name}.{TARGET}.cwasm" for name in ("a", "sub/b")}


def test_all_other_members_keep_their_bytes_modes_and_times(stock: Path, compiled: Compiled):
    before, after = everything(stock), everything(compiled.one(stock))
    assert before[f"{INFO}/entry_points.txt"][0] == b"[console_scripts]\ndemo = demo:main\n"
    assert before["demo-1.0.data/data/share/demo/table.txt"][0] == b"data"
    assert before["demo/tool.sh"][1] >> 16 == 0o100755
    for name in (f"{INFO}/WHEEL", f"{INFO}/RECORD"):
        assert before.pop(name)[1:] == after[name][1:]
    assert {name: after[name] for name in before} == before


def test_a_large_member_is_copied_as_it_is(stock: Path, compiled: Compiled):
    given = doctored(stock, **{"demo/table.bin": os.urandom(9 << 20)})
    made = compiled.one(given)
    members(Built(0, "", made))
    assert everything(made)["demo/table.bin"] == everything(given)["demo/table.bin"]
    assert "demo/table.bin (9 MB) is too large to compress again" in "".join(compiled.lines)


def test_members_without_modes_get_the_mode_of_a_file(stock: Path, compiled: Compiled):
    given = stock.parent / "windows" / ANY
    given.parent.mkdir()
    with zipfile.ZipFile(stock) as old, zipfile.ZipFile(given, "w") as new:
        for info in old.infolist():
            data, info.external_attr, info.create_system = old.read(info), 0, 0
            new.writestr(info, data)
            info.external_attr = 0
    after = everything(compiled.one(given))
    assert {attributes >> 16 for _, attributes, _ in after.values()} == {0o100644}


def test_sboms_and_signatures_of_others_stay(stock: Path, compiled: Compiled):
    added = {
        f"{INFO}/sboms/demo.cdx.json": b"{}",
        f"{INFO}/licenses/b/LICENSE": b"b",
        "demo/signed.p7s": b"not of RECORD",
        "demo-1.0.data/scripts/run": b"#!python\n",
        "demo-1.0.data/platlib/demo/c.wasm": b"not in a package",
    }
    made = compiled.one(doctored(stock, **added))
    members(Built(0, "", made))
    after = everything(made)
    assert {name: after[name][0] for name in added} == added


def test_the_signature_of_record_is_dropped_and_said(stock: Path, compiled: Compiled):
    signed = Wheel(stock)
    names = [f"{INFO}/RECORD.jws", f"{INFO}/RECORD.p7s"]
    for name in names:
        signed.members[name] = b"signature"
    signed.record = lambda rows: [
        row.__setitem__(slice(1, 3), ["", ""]) for row in rows if row[0] in names
    ]
    made = compiled(signed.write(stock.parent / "signed"))[0]
    members(Built(0, "", made))
    assert not any("RECORD." in name for name in everything(made))
    for name in names:
        line = f"wazcache: {ANY}: {name} is left out: it signs the old RECORD"
        assert compiled.lines.count(line) == 1


def test_other_lines_of_wheel_are_kept(stock: Path, compiled: Compiled):
    text = (
        b"Wheel-Version: 1.0\r\nGenerator: other 1\r\nRoot-Is-Purelib: true\r\n"
        b"Tag: py3-none-any\r\nBuild: 2\r\n"
    )
    given = doctored(stock, "demo-1.0-2-py3-none-any.whl", **{f"{INFO}/WHEEL": text})
    made = compiled.one(given)
    assert made.name.startswith("demo-1.0-2-py3-none-")
    lines = everything(made)[f"{INFO}/WHEEL"][0].decode().splitlines()
    tags = [line for line in lines if line.startswith("Tag: py3-none-")]
    assert lines == [
        "Wheel-Version: 1.0", "Generator: other 1", "Root-Is-Purelib: false", *tags, "Build: 2",
    ]  # fmt: skip
    assert len(tags) == len(made.stem.rpartition("-")[2].split("."))


# the engine


def requiring(stock: Path, *lines: str) -> Path:
    text = "\n".join(["Metadata-Version: 2.1", "Name: demo", "Version: 1.0", *lines, ""])
    return doctored(stock, **{f"{INFO}/METADATA": text.encode()})


@pytest.mark.parametrize(
    ("lines", "engine"),
    [
        (["Requires-Dist: wasmtime<49,>=48"], "48.0.0"),
        (["Requires-Dist: wasmtime<48,>=47"], "47.0.0"),
        (["Requires-Dist: wasmtime<48; extra == 'wasm'", "Provides-Extra: wasm"], "47.0.0"),
        (
            [
                'Requires-Dist: wasmtime<48; (python_version >= "3") and extra == "a"',
                'Requires-Dist: wasmtime<48; (python_version >= "3") and extra == "b"',
            ],
            "47.0.0",
        ),
        (
            [
                'Requires-Dist: wasmtime<48; python_version < "3.13"',
                'Requires-Dist: wasmtime>=48,<49; python_version >= "3.13"',
            ],
            "47.0.0" if sys.version_info < (3, 13) else "48.0.0",
        ),
        ([], "48.0.0"),
    ],
)
def test_the_engine_is_the_one_that_metadata_asks_for(
    stock: Path, compiled: Compiled, lines: list[str], engine: str
):
    give_engine(compiled.cache)
    made = compiled.one(requiring(stock, *lines))
    names = members(Built(0, "", made))
    assert f"demo/a.{TARGET}.cwasm" in names  # one engine, so it has no part in names
    assert engines(everything(made)["demo/_wazcache.json"][0]) == [engine]


def test_an_engine_that_nobody_names_is_asked_for(stock: Path, compiled: Compiled):
    given = requiring(stock, "Requires-Dist: unknown-runtime")
    message = compiled.refuses(given, targets="native")
    assert "does not name wasmtime, and of what it requires (unknown-runtime) nothing" in message
    made = compiled.one(given, engine="wasmtime>=48,<49")
    assert engines(everything(made)["demo/_wazcache.json"][0]) == ["48.0.0"]


# native wheels


@pytest.fixture
def native(stock: Path) -> Path:
    """A wheel with an extension module for Linux."""
    tag = "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64"
    return doctored(
        stock,
        f"demo-1.0-{tag}.whl",
        **{
            f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: maturin 1\nRoot-Is-Purelib: false\n"
            b"Tag: cp311-abi3-manylinux_2_17_x86_64\nTag: cp311-abi3-manylinux2014_x86_64\n",
            "demo/fast.abi3.so": b"\x7fELF and code",
        },
    )


linux = pytest.mark.skipif(TARGET != "x86_64-linux", reason="the wheel is for x86_64 Linux")


@linux
def test_a_wheel_with_extension_modules_keeps_its_tags(native: Path, compiled: Compiled):
    (made,) = compiled(native, targets="all")
    assert made.name == native.name
    assert ours("demo", "a", "sub/b") < members(Built(0, "", made))
    assert everything(made)[f"{INFO}/WHEEL"] == everything(native)[f"{INFO}/WHEEL"]
    said = "so there is no wheel for aarch64-linux, x86_64-macos"
    assert said in "".join(compiled.lines)


@linux
def test_a_wheel_with_extension_modules_gets_its_own_target(native: Path, compiled: Compiled):
    (made,) = compiled(native)
    assert f"demo/a.{TARGET}.cwasm" in members(Built(0, "", made))


def test_a_target_that_does_not_fit_alone_is_an_error(native: Path, compiled: Compiled):
    message = compiled.refuses(native, targets=["aarch64-macos"])
    assert "cannot be compiled for aarch64-macos; its target is x86_64-linux" in message


def test_a_platform_without_target_is_an_error(stock: Path, compiled: Compiled):
    text = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-win32\n"
    given = doctored(stock, "demo-1.0-cp311-cp311-win32.whl", **{f"{INFO}/WHEEL": text})
    assert "has files for one platform, win32, which is none of" in compiled.refuses(given)


@linux
def test_native_wheels_of_one_release_share_their_companions(native: Path, compiled: Compiled):
    wheel = Wheel(native)
    text = wheel.members[f"{INFO}/WHEEL"]
    wheel.members[f"{INFO}/WHEEL"] = text.replace(b"cp311-abi3", b"cp310-cp310")
    wheel.name = native.name.replace("cp311-abi3", "cp310-cp310")
    other = wheel.write(native.parent)
    made = compiled(native, other, companion="demo-wasmtime", engines=["48"], targets="all")
    assert {path.name.partition("-")[0] for path in made} == {"demo", "demo_wasmtime"}
    assert {path.name for path in made} == {
        native.name,
        other.name,
        "demo_wasmtime-0-py3-none-any.whl",
        next(path.name for path in made if "-48.1.0-" in path.name),
    }
    assert {path.name for path in compiled.folder.iterdir()} == {path.name for path in made}
    assert f"demo/a.{TARGET}.cwasm" not in members(Built(0, "", compiled.folder / native.name))


# wheels that are compiled already


def test_a_compiled_wheel_is_refreshed_to_the_same_bytes(
    stock: Path, compiled: Compiled, tmp_path: Path
):
    native, pure = sorted(compiled(stock), key=lambda path: path.name == ANY)
    again = Compiled(compiled.cache, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in again(native)} == {
        path.name: path.read_bytes() for path in (native, pure)
    }


def test_what_earlier_options_made_is_dropped(stock: Path, compiled: Compiled, tmp_path: Path):
    old = compiled.one(
        stock, engines=["48"], profiles={"default": {}, "slow": {"cranelift-opt-level": "none"}}
    )
    new = Compiled(compiled.cache, tmp_path / "again").one(old)
    assert new.read_bytes() == Compiled(compiled.cache, tmp_path / "other").one(stock).read_bytes()


def test_a_compiled_wheel_is_extended_by_an_engine(stock: Path, compiled: Compiled, tmp_path: Path):
    give_engine(compiled.cache)
    old = compiled.one(stock)
    with FinishedWheel(old) as wheel:
        both = ["47", *engines_of(wheel)]
    new = Compiled(compiled.cache, tmp_path / "again").one(old, engines=both)
    names = {name for name in members(Built(0, "", new)) if name.endswith(".cwasm")}
    assert {name.split(".")[-2] for name in names} == {"wasmtime47", "wasmtime48"}
    assert len(names) == 4


def test_a_loader_keeps_its_place(stock: Path, compiled: Compiled, tmp_path: Path):
    old = compiled.one(stock, loader="demo/_engine.py")
    again = Compiled(compiled.cache, tmp_path / "again")
    assert again.one(old).read_bytes() == old.read_bytes()
    without = Compiled(compiled.cache, tmp_path / "without").one(stock, loader=False)
    assert again.one(without).read_bytes() == without.read_bytes()


def test_a_committed_loader_is_replaced_in_its_place(stock: Path, compiled: Compiled):
    old = loader_text() + b"# committed by an earlier release\n"
    made = compiled.one(doctored(stock, **{"demo/_engine.py": old}))
    assert everything(made)["demo/_engine.py"][0] == loader_text()
    names = members(Built(0, "", made))
    assert "demo/_engine.json" in names
    assert "demo/_wazcache.py" not in names


def test_a_manifest_cannot_name_other_members_away(stock: Path, compiled: Compiled, tmp_path: Path):
    wheel = Wheel(compiled.one(stock))

    def lie(manifest: dict) -> None:
        manifest["assets"]["a.wasm"]["artifacts"][0]["file"] = "tool.sh"

    wheel.manifest(lie)
    del wheel.members[f"demo/a.{TARGET}.cwasm"]
    made = Compiled(compiled.cache, tmp_path / "again").one(wheel.write(tmp_path / "lying"))
    assert "demo/tool.sh" in members(Built(0, "", made))


def test_a_package_without_assets_gets_a_loader_alone(stock: Path, compiled: Compiled):
    given = without_assets(stock)
    (made,) = compiled(given, assets=[], loader="demo/_wazcache.py", profiles={"default": {}})
    assert made.name == ANY
    assert {"demo/_wazcache.py", "demo/_wazcache.json"} < members(Built(0, "", made))


# all or nothing


def test_in_place_the_new_wheel_replaces_the_old_one(stock: Path, compiled: Compiled):
    copy = shutil.copy(stock, compiled.cache.parent)
    made = compiled.one(Path(copy), in_place=True)
    assert not Path(copy).exists()
    assert made.parent == compiled.cache.parent
    assert made.read_bytes() == compiled.one(stock).read_bytes()


def test_in_place_a_wheel_of_the_same_name_is_replaced(stock: Path, compiled: Compiled):
    before = stock.read_bytes()
    made = compiled(stock, in_place=True)
    assert {path.name for path in stock.parent.glob("*.whl")} == {path.name for path in made}
    assert stock in made
    assert stock.read_bytes() != before
    assert "demo/_wazcache.py" in members(Built(0, "", stock))


def test_without_in_place_no_input_is_replaced(stock: Path, compiled: Compiled):
    compiled.folder = stock.parent
    before = stock.read_bytes()
    with pytest.raises(WazcacheError, match="replace it with --in-place"):
        compiled(stock)
    assert list(stock.parent.iterdir()) == [stock]
    assert stock.read_bytes() == before


def test_a_failure_of_one_wheel_leaves_none(stock: Path, compiled: Compiled):
    bad = doctored(stock, "demo-2.0-py3-none-any.whl", **{"demo/a.wasm": BROKEN})
    message = compiled.refuses(stock, bad)
    assert message.startswith(f"{bad}: its name says demo 2.0")
    bad = doctored(stock, "demo-1.0-py2.py3-none-any.whl", **{
        "demo/a.wasm": BROKEN,
        f"{INFO}/WHEEL": b"Root-Is-Purelib: true\nTag: py2-none-any\nTag: py3-none-any\n",
    })  # fmt: skip
    assert "demo/a.wasm" in compiled.refuses(stock, bad)
    assert "demo/a.wasm" in compiled.refuses(stock, bad, in_place=True)


def test_a_wheel_that_cannot_get_its_name_leaves_all_names_as_before(
    stock: Path, compiled: Compiled, monkeypatch: pytest.MonkeyPatch
):
    names = [path.name for path in compiled(stock)]
    (compiled.folder / names[0]).unlink()  # has no file yet
    (compiled.folder / names[1]).write_bytes(b"old")
    replace = os.replace
    calls = []

    def full(self: Path, final: Path) -> Path:
        calls.append(final)
        if final == compiled.folder / names[1] and self.suffix == ".whl":
            raise OSError(28, "No space left on device")
        replace(self, final)
        return final

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(WazcacheError, match="No space left on device"):
        compiled(stock)
    left = {path.name: path.read_bytes() for path in compiled.folder.iterdir()}
    assert left == {names[1]: b"old"}
    assert compiled.folder / names[0] in calls  # it had its name already


def test_a_link_is_replaced_and_its_target_stays(stock: Path, compiled: Compiled, tmp_path: Path):
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / ANY
    link.symlink_to(stock)
    before = stock.read_bytes()
    assert link in compiled(link, in_place=True)
    assert not link.is_symlink()
    assert stock.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(stock: Path, compiled: Compiled, tmp_path: Path):
    (tmp_path / "file").touch()
    compiled.folder = tmp_path / "file" / "wheelhouse"
    message = compiled.refuses(stock)
    assert message == f"{compiled.folder}: cannot be written: Not a directory"


def test_a_name_that_a_folder_has_is_refused(stock: Path, compiled: Compiled):
    taken = compiled.folder / ANY
    taken.mkdir(parents=True)
    message = compiled.refuses(stock)
    assert message == f"{taken}: is a directory, so no wheel can have this name"
    assert list(compiled.folder.iterdir()) == [taken]


def test_a_folder_with_the_name_of_a_companion_keeps_its_files(stock: Path, compiled: Compiled):
    kept = compiled.folder / "demo_wasmtime-0-py3-none-any.whl" / "file"
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    message = compiled.refuses(stock, companion="demo-wasmtime", engines=["48"])
    assert message == f"{kept.parent}: cannot be written: Is a directory"
    assert kept.read_text() == "precious"
    assert list(compiled.folder.iterdir()) == [kept.parent]


def test_two_wheels_cannot_become_one(stock: Path, compiled: Compiled, tmp_path: Path):
    made = Compiled(compiled.cache, tmp_path / "made").one(stock)
    message = compiled.refuses(stock, made, targets=["any"])
    assert message.startswith(f"{stock} and {made}: both would become {compiled.folder / ANY};")
    assert len(compiled.refuses(stock, made).splitlines()) == 1


SCRIPT = """
import sys, time
from pathlib import Path
from hatch_wazcache.packing.compile_wheels import compile_wheels
from hatch_wazcache.packing.from_wheel import FinishedWheel
from hatch_wazcache.project.options import read_config
from hatch_wazcache.report import Report

wheel, cache, folder, pause = sys.argv[1:]

def say(text):
    if pause in text:
        print("now", flush=True)
        time.sleep(60)

table = {"assets": ["**/*.wasm"], "cache-dir": cache}
config = read_config(table, "option", {}, Path.cwd())
with FinishedWheel(Path(wheel)) as opened:
    compile_wheels([opened], lambda _: config, Path(folder), Report(say, say))
"""


def started(stock: Path, compiled: Compiled, pause: str) -> subprocess.Popen[str]:
    """Start a process that compiles, and stops for a while when its report says something."""
    words = [sys.executable, "-c", SCRIPT, stock, compiled.cache, compiled.folder, pause]
    temporary = compiled.cache.with_name("temporary")
    temporary.mkdir()
    env = {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("pause", ["found in the cache", "compiling for"])
def test_a_process_that_is_ended_leaves_no_wheel(
    stock: Path, compiled: Compiled, ending: signal.Signals, pause: str
):
    if pause != "found in the cache":
        shutil.rmtree(compiled.cache)
    process = started(stock, compiled, pause)
    with process:
        assert process.stdout.readline() == "now\n"
        assert len(list(compiled.folder.iterdir())) == 1
        process.send_signal(ending)
    assert process.returncode != 0
    was_killed = ending == signal.SIGKILL
    assert compiled.folder.exists() == was_killed
    assert bool(list(compiled.cache.with_name("temporary").iterdir())) == was_killed
    assert list(compiled.folder.glob("*.whl")) == []
    made = compiled(stock)  # removes what the killed process has left
    assert sorted(compiled.folder.iterdir()) == sorted(made)


ENDED_LATE = """
import os, shutil, signal
remove = shutil.rmtree

def ended_meanwhile(*args, **options):
    shutil.rmtree = remove
    os.kill(os.getpid(), signal.SIGTERM)
    remove(*args, **options)

shutil.rmtree = ended_meanwhile
""" + SCRIPT  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_process_that_is_ended_while_it_tidies_up_leaves_no_folder(
    stock: Path, compiled: Compiled
):
    words = [sys.executable, "-c", ENDED_LATE, stock, compiled.cache, compiled.folder, "nothing"]
    assert subprocess.run(words, check=False).returncode == 128 + signal.SIGTERM
    assert [path.suffix for path in compiled.folder.iterdir()] == [".whl"] * 2


# cheap and safe


AUDITED = """
import sys
events = []
sys.addaudithook(lambda name, args: events.append((name, args)))
""" + SCRIPT + """
started = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
assert not started & {name for name, _ in events}
assert not {"wasmtime", "demo"} & set(sys.modules)
opened = [str(args[0]) for name, args in events if name == "open"]
assert opened
named = [Path(path).stem for path in opened if path.endswith((".wasm", ".sh"))]
assert not [name for name in named if len(name) != 64]
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""  # fmt: skip


def peak(wheel: Path, cache: Path, folder: Path) -> int:
    """Compile in a process that watches itself; return its peak of memory in bytes."""
    words = [sys.executable, "-c", AUDITED, wheel, cache, folder, "nothing"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout) << 10


@pytest.mark.skipif(sys.platform != "linux", reason="it needs /proc")
def test_a_warm_compile_starts_nothing_runs_nothing_and_needs_little_memory(
    stock: Path, compiled: Compiled
):
    compiled(stock)
    small = peak(stock, compiled.cache, compiled.folder)
    large = doctored(stock, **{"demo/a.wasm": padded(os.urandom(24 << 20))})
    compiled(large)
    assert compiled.report.compiled == 1
    assert peak(large, compiled.cache, compiled.folder) < small + (10 << 20)


# wheels that cannot be done


def change(path: str, data: bytes | None) -> Callable[[Path], Path]:
    return lambda stock: doctored(stock, **{path: data})


def companion(stock: Path) -> Path:
    made = Compiled(stock.parents[2] / "cache", stock.parent / "companions")
    options = {"companion": "demo-wasmtime", "engines": ["48"], "targets": "native"}
    return next(path for path in made(stock, **options) if "-48.1.0-" in path.name)


def without_wasm(stock: Path) -> Path:
    return Compiled(stock.parents[2] / "cache", stock.parent / "kept").one(stock, keep_wasm=False)


def truncated(stock: Path) -> Path:
    path = stock.parent / "cut" / ANY
    path.parent.mkdir()
    path.write_bytes(stock.read_bytes()[:-30])
    return path


def sdist(stock: Path) -> Path:
    path = stock.with_name("demo-1.0.tar.gz")
    path.write_bytes(b"\x1f\x8b")
    return path


def wrong_record(stock: Path) -> Path:
    wheel = Wheel(stock)
    wheel.record = lambda rows: rows[0].__setitem__(1, "sha256=AAAA")
    return wheel.write(stock.parent / "wrong")


def renamed(name: str) -> Callable[[Path], Path]:
    return lambda stock: doctored(stock, name)


def without_assets(stock: Path) -> Path:
    return doctored(stock, **{"demo/a.wasm": None, "demo/sub/b.wasm": None})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (companion, "is a companion, that of demo 1.0; give the wheel of demo"),
        (without_wasm, "was built with keep-wasm = false, so it has the artifacts alone"),
        (without_assets, "has no .wasm file"),
        (truncated, "is not a zip file, or is cut short or damaged"),
        (sdist, "is not a wheel; if it is an sdist, build its wheel first"),
        (lambda stock: stock.parent, "is a directory, not a wheel"),
        (lambda stock: stock.with_name("no.whl"), "No such file or directory"),
        (change("other-1.0.dist-info/METADATA", b""), "has 2 .dist-info folders, not one"),
        (change(f"{INFO}/METADATA", None), f"{INFO}/METADATA: is missing"),
        (change(f"{INFO}/WHEEL", None), f"{INFO}/WHEEL: is missing"),
        (change("../evil.wasm", ANSWER), "leads out of the folder that the wheel is installed"),
        (change("demo/b.x86_64-linux.cwasm", b"data"), "is named like an artifact, but no"),
        (change("demo/_wazcache.py", b"mine"), "demo/_wazcache.py: is not from hatch-wazcache"),
        (change("demo/a.wasm", b""), "demo/a.wasm: the file is empty"),
        (change("top.wasm", ANSWER), "top.wasm: is not in a Python package"),
        (wrong_record, "has the digest"),
        (renamed("demo-1.0.whl"), "does not have the file name of a wheel"),
        (renamed("demo-1.0-py3-none-linux_x86_64.whl"), "the wheel's name says"),
        (change(f"{INFO}/METADATA", b"Name: demo\nVersion: 1.0\nRequires-Dist: ?\n"), "not valid"),
    ],
    ids=lambda value: value[:40].replace("/", "-") if isinstance(value, str) else "",
)
def test_a_wheel_that_cannot_be_done_says_why(stock: Path, compiled: Compiled, make, reason: str):
    given = make(stock)
    message = compiled.refuses(given)
    assert reason in message
    assert all(line.startswith(str(given)) for line in message.splitlines())


def test_options_that_do_not_fit_the_wheel_say_why(stock: Path, compiled: Compiled):
    text = b"Name: demo\nVersion: 1!1.0\nRequires-Dist: wasmtime\nRequires-Dist: demo-wasmtime\n"
    wheel = Wheel(doctored(stock, **{f"{INFO}/METADATA": text}))
    wheel.name = ANY.replace("1.0", "1!1.0")
    wheel.info = wheel.info.replace("1.0", "1!1.0")
    wheel.members = {
        name.replace("o-1.0.d", "o-1!1.0.d"): wheel.members[name] for name in wheel.members
    }
    given = wheel.write(stock.parent / "epoch")
    message = compiled.refuses(given, companion="demo-wasmtime", engines=["48"])
    assert f"{given}: the version 1!1.0 can have no companions" in message
    text = b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-macosx_11_0_arm64\n"
    name = "demo-1.0-cp311-cp311-macosx_11_0_arm64.whl"
    given = doctored(stock, name, **{f"{INFO}/WHEEL": text})
    message = compiled.refuses(given, cpu="x86-64-v3")
    assert message.startswith(f'{given}: option.cpu = "x86-64-v3": must be "baseline", or a list')


def test_a_wheel_with_very_many_problems_names_some(stock: Path, compiled: Compiled):
    given = doctored(stock, **{f"demo/{n}.cwasm": b"" for n in range(20)})
    *lines, last = compiled.refuses(given).splitlines()
    assert (len(lines), last) == (10, f"{given}: has more problems than these")


def test_a_wheel_that_is_written_meanwhile_is_refused(
    stock: Path, compiled: Compiled, monkeypatch: pytest.MonkeyPatch
):
    opened = FinishedWheel.check_unchanged
    monkeypatch.setattr(
        FinishedWheel, "check_unchanged", lambda self: (os.utime(stock), opened(self))
    )
    assert "has changed meanwhile" in compiled.refuses(stock)
