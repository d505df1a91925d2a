"""Several targets: the builder, what one front end builds, and wheels of several artifacts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import SYSTEMS, TARGETS, find_targets, native_system
from hatch_wazcache.errors import WazcacheError
from hatch_wazcache.formats.artifact import read_artifact
from hatch_wazcache.formats.wasm import WasmReader
from tests.support.environments import environment_with
from tests.support.projects import Built, Project, run_python
from tests.support.wheels import members, precompiled, unpack

NATIVE = native_system().name
ALL = [*SYSTEMS, "any"]


@pytest.fixture
def many(project: Project, wasmtime_cli: Path) -> Project:
    """A project with a program that compiles for every target."""
    project.environment = {"WAZCACHE_WASMTIME": str(wasmtime_cli)}
    return project


def build(project: Project, versions: str = "", *words: str, **env: str) -> dict[str, Built]:
    """Build with the builder; return the wheels by their platform tags."""
    target = f"wazcache:{versions}" if versions else "wazcache"
    done = project.run("hatchling", "build", "-t", target, *words, **env)
    wheels = sorted((project.root / "dist").glob("*.whl"))
    assert done.status == 0, done.output
    return {wheel.stem.split("-")[-1]: Built(0, done.output, wheel) for wheel in wheels}


def tags(*targets: str) -> set[str]:
    return {".".join(target.platform_tags) for name in targets for target in find_targets(name)}


def artifacts(built: Built) -> list[tuple[str, str]]:
    """Return the artifacts of a wheel as the manifest has them: file and target, in its order."""
    manifest = json.loads(built.read("demo/_wazcache.json"))
    return [
        (one["file"], one["target"])
        for about in manifest["assets"].values()
        for one in about["artifacts"]
    ]


# the builder


def test_the_builder_makes_the_wheel_of_every_configured_target(many: Project):
    many.append('targets = "all"\n')
    wheels = build(many)
    assert wheels.keys() == tags(*ALL)
    for target in (TARGETS[name] for name in ALL):
        wheel = wheels[".".join(target.platform_tags)]
        names = {f"demo/a.{system.name}.cwasm" for system in target.systems}
        base = {"demo/__init__.py", "demo/_wazcache.json", "demo/_wazcache.py", "demo/a.wasm"}
        assert members(wheel) == base | names
        for name, system in zip(sorted(names), target.systems, strict=True):
            data = wheel.read(name)
            about = read_artifact(io.BytesIO(data), len(data))
            assert (about.arch, about.system) == (system.arch, system.os)
            assert about.triple == system.triple
        wheel_file = wheel.read("demo-1.0.dist-info/WHEEL").decode()
        pure = "true" if target.name == "any" else "false"
        assert f"Root-Is-Purelib: {pure}" in wheel_file
        assert set(re.findall(r"Tag: py3-none-(\S+)", wheel_file)) == set(target.platform_tags)


def test_the_builder_makes_the_targets_that_are_asked_for(many: Project):
    many.append('targets = ["native"]\n')
    wheels = build(many, "aarch64-macos,any,any")
    assert wheels.keys() == tags("aarch64-macos", "any")
    assert build(many, "native").keys() == tags("aarch64-macos", "any", NATIVE)


def test_all_artifacts_are_compiled_before_the_first_wheel(many: Project):
    many.append('targets = "all"\n')
    output = next(iter(build(many).values())).output
    lines = [line for line in output.splitlines() if line.startswith("wazcache: ")]
    counts = [re.findall(r"(\d+) compiled, (\d+) found", line) for line in lines]
    assert [found for found in counts if found] == [
        [("6", "0")], *([[("0", "1")]] * 5), [("0", "0")],
    ]  # fmt: skip
    first = next(number for number, found in enumerate(counts) if found)
    assert not any("compiling" in line for line in lines[first:])


def test_what_the_builder_compiled_counts_once(many: Project):
    many.append('targets = "all"\n')
    build(many)
    info = many.run("hatch_wazcache", "info", "--json")
    builds = json.loads(info.output)["statistics"]
    assert (builds["misses"], builds["hits"]) == (6, 0)
    many.run("hatch_wazcache", "prune", "--ci")
    assert json.loads(many.run("hatch_wazcache", "info", "--json").output)["entries"] == 7


@pytest.mark.parametrize("option", ['max-size = "1 B"', "timeout = 1800"])
def test_what_the_cache_does_not_keep_is_compiled_once_too(many: Project, option: str):
    if option.startswith("timeout"):
        many.cache.mkdir()
        many.cache.chmod(0o777)  # which is not trusted
    many.append(f'targets = "all"\n{option}\n')
    wheels = build(many)
    assert wheels.keys() == tags(*ALL)
    output = next(iter(wheels.values())).output
    assert output.count(": compiling for ") == len(SYSTEMS)
    assert output.count("warning: ") == (1 if option.startswith("timeout") else 0)
    assert not list(many.cache.glob("wasmtime-*/*.zip"))


def test_warm_the_builder_compiles_nothing_and_makes_the_same_wheels(many: Project):
    many.append('targets = ["all", "universal2-macos"]\n')
    cold = {tag: built.wheel.read_bytes() for tag, built in build(many).items()}
    warm = build(many)
    assert "compiling" not in next(iter(warm.values())).output
    assert {tag: built.wheel.read_bytes() for tag, built in warm.items()} == cold


def test_the_wheel_is_that_of_the_wheel_target(many: Project):
    built = many.build()
    whole = built.wheel.read_bytes()
    (again,) = build(many, "native").values()
    assert again.wheel.read_bytes() == whole


def test_the_configuration_of_the_wheel_target_applies(many: Project):
    many.write("demo/left_out.py")
    many.append('[tool.hatch.build.targets.wheel]\nexclude = ["left_out.py"]\n')
    built, for_any = build(many).values()
    assert "demo/left_out.py" not in {*built.names, *for_any.names}
    assert f"demo/a.{NATIVE}.cwasm" in built.names


def test_other_hooks_do_their_work_for_every_wheel(many: Project):
    many.append('targets = ["native", "any"]\n[tool.hatch.build.hooks.custom]\n')
    many.write(
        "hatch_build.py",
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        "        assert (self.target_name, version) == ('wheel', 'standard')\n"
        "        build_data['force_include'][__file__] = 'demo/made.py'\n",
    )
    wheels = build(many)
    assert len(wheels) == 2
    assert all("demo/made.py" in built.names for built in wheels.values())


def test_what_another_hook_makes_anew_for_each_wheel_is_in_it(many: Project):
    many.write(
        "hatch_build.py",
        "from pathlib import Path\n"
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        "        wasm = Path(self.root, 'demo', 'a.wasm')\n"
        "        data = bytearray(wasm.read_bytes())\n"
        "        data[-1] += 1\n"  # of the same size
        "        wasm.write_bytes(data)\n",
    )
    wasm = many.root / "demo" / "a.wasm"
    original = wasm.read_bytes() + b"\0\3\1n\0"  # a section of one byte
    wasm.write_bytes(original)
    text = (many.root / "pyproject.toml").read_text()
    ours = "[tool.hatch.build.hooks.wazcache]"
    many.write("pyproject.toml", text.replace(ours, f"[tool.hatch.build.hooks.custom]\n{ours}"))
    wheels = build(many, f"{NATIVE},aarch64-linux,any")
    found = {}
    for tag, built in wheels.items():
        data = built.read("demo/a.wasm")
        about = json.loads(built.read("demo/_wazcache.json"))["assets"]["a.wasm"]
        assert hashlib.sha256(data).hexdigest() == about["sha256"]
        found[tag] = data[-1]
        assert data[:-1] == original[:-1]
    assert sorted(found.values()) == [1, 2, 3]


def test_an_asset_is_read_once_for_all_targets(project: Project, tmp_path: Path):
    name = project.root / "demo" / "a.wasm"
    reader = WasmReader()
    first = reader.read(name, "a.wasm")
    assert reader.read(name, "a.wasm") is first
    status = name.stat()
    name.write_bytes(name.read_bytes()[:-1] + b"\1")
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = reader.read(name, "a.wasm")
    assert (again.size, again.stamp.mtime_ns) == (first.size, first.stamp.mtime_ns)
    assert again.sha256 != first.sha256
    name.unlink()
    with pytest.raises(WazcacheError, match="is not a regular file"):
        reader.read(name, "a.wasm")


def test_cleaning_deletes_no_other_wheel(many: Project):
    build(many, "any")
    many.write("dist/other-1.0.whl", "mine")
    many.append('targets = ["native", "any"]\n')
    assert build(many, "", "--clean").keys() == {*tags("native", "any"), "1.0"}
    build(many, "", "--clean-only")
    assert len(list((many.root / "dist").iterdir())) == 3


def test_the_environment_names_one_target(many: Project):
    many.append('targets = "all"\n')
    assert build(many, WAZCACHE_TARGET="aarch64-macos").keys() == tags("aarch64-macos")


@pytest.mark.parametrize(
    ("versions", "told"),
    [("foo", "-t wazcache:foo: must be targets"), ("native,aarch64-mac", "aarch64-mac: must be")],
)
def test_an_unknown_target_is_told_with_all_known(many: Project, versions: str, told: str):
    done = many.run("hatchling", "build", "-t", f"wazcache:{versions}")
    assert done.status != 0
    assert told in done.output
    assert all(name in done.output for name in TARGETS)
    assert "Traceback" not in done.output
    assert not (many.root / "dist").exists()


@pytest.mark.parametrize(
    ("versions", "option", "told"),
    [
        ("native,any", "keep-wasm = false", "keep-wasm = false: must be true for the target any"),
        ("s390x-linux", "keep-wasm = false", "must be true for the target s390x-linux"),
        ("all", 'cpu = "x86-64-v2"', "for the target aarch64-macos: the level exists on x86_64"),
        ("universal2-macos", 'cpu = "native"', 'for the target aarch64-macos: "native" is for'),
    ],
)
@pytest.mark.skipif(NATIVE != "x86_64-linux", reason="the levels are x86_64's")
def test_a_target_that_is_asked_for_must_fit_the_options(
    many: Project, versions: str, option: str, told: str
):
    many.append(f"{option}\n")
    done = many.run("hatchling", "build", "-t", f"wazcache:{versions}")
    assert done.status != 0
    assert told in done.output
    assert "Traceback" not in done.output
    assert not (many.root / "dist").exists()


def test_without_the_hook_the_builder_stops(many: Project):
    text = (many.root / "pyproject.toml").read_text()
    many.write("pyproject.toml", text.replace("hooks.wazcache", "hooks.version"))
    for words, env in (((), {}), (("--no-hooks",), {}), ((), {"HATCH_BUILD_NO_HOOKS": "true"})):
        done = many.run("hatchling", "build", "-t", "wazcache", *words, **env)
        assert done.status != 0
        assert "wazcache: the build hook is disabled, or has no table [tool.hatch" in done.output
        assert "Traceback" not in done.output


def test_a_table_that_hatch_does_not_ask_for_wasmtime_gets_the_line_that_helps(many: Project):
    text = (many.root / "pyproject.toml").read_text()
    own = "targets.wheel.hooks.wazcache"
    many.write("pyproject.toml", text.replace("hooks.wazcache", own))
    assert build(many).keys() == tags("native", "any")
    many.python = environment_with("")
    many.use_name_of_hatch()
    done = many.run("hatchling", "build", "-t", "wazcache", HATCH_ENV_ACTIVE="default")
    assert done.status != 0
    assert "wasmtime is not installed in this environment" in done.output
    assert "only for tables in [tool.hatch.build.hooks]" in done.output
    assert 'add "wasmtime<49,>=48" to build-system.requires' in done.output
    assert len(done.output.splitlines()) == 1


def test_wrong_options_are_told_by_the_builder_too(many: Project):
    many.append('targets = ["any", "any"]\ncpu = 3\n')
    done = many.run("hatchling", "build", "-t", "wazcache")
    assert done.status != 0
    assert ".cpu = 3: must be" in done.output
    assert '.targets: "any" is listed twice' in done.output
    assert "Traceback" not in done.output


# a front end that asks for one wheel


def test_of_several_targets_a_front_end_gets_this_machines_and_is_told_how_to_get_the_rest(
    many: Project,
):
    many.append('targets = "all"\n')
    built = many.build()
    assert built.status == 0, built.output
    assert f"demo/a.{NATIVE}.cwasm" in built.names
    assert f"building for {NATIVE}" in built.output
    others = [name for name in ALL if name != NATIVE]
    assert "WAZCACHE_TARGET" in built.output
    assert "`hatch build -t wazcache`" in built.output
    assert all(name in built.output for name in others)
    named = many.build(WAZCACHE_TARGET="any")
    assert "building for" not in named.output


def test_a_machine_that_is_not_among_the_targets_gets_the_wheel_for_any(many: Project):
    foreign = next(name for name in SYSTEMS if name != NATIVE)
    many.append(f'targets = ["{foreign}", "any"]\n')
    built = many.build()
    assert built.wheel.name.endswith("-py3-none-any.whl")


def test_an_editable_install_is_for_this_machine(many: Project):
    foreign = next(name for name in SYSTEMS if name != NATIVE)
    many.append(f'targets = ["{foreign}"]\n')
    done = many.run("hatchling", "build", "-t", "wheel:editable", WAZCACHE_TARGET=foreign)
    assert done.status == 0, done.output
    names = {path.name for path in (many.root / "demo").iterdir()}
    assert f"a.{NATIVE}.cwasm" in names
    assert f"a.{foreign}.cwasm" not in names


# wheels of several artifacts, or of none


def test_universal2_holds_both_architectures(many: Project):
    (built,) = build(many, "universal2-macos").values()
    assert built.wheel.name == "demo-1.0-py3-none-macosx_10_13_universal2.whl"
    assert artifacts(built) == [
        ("a.aarch64-macos.cwasm", "aarch64-macos"), ("a.x86_64-macos.cwasm", "x86_64-macos"),
    ]  # fmt: skip


@pytest.mark.skipif(not NATIVE.startswith("x86_64"), reason="the levels are x86_64's")
def test_the_best_cpu_level_that_loads_wins(many: Project, tmp_path: Path):
    many.append('cpu = ["x86-64-v4", "x86-64-v3", "baseline"]\n')
    built = many.build()
    assert [file for file, _target in artifacts(built)] == [
        f"a.{NATIVE}.x86-64-v4.cwasm", f"a.{NATIVE}.x86-64-v3.cwasm", f"a.{NATIVE}.cwasm",
    ]  # fmt: skip
    site = unpack(built.wheel, tmp_path / "site")
    best = precompiled(site)["demo/a.wasm"]
    code = "from demo._wazcache import *; print(status('a.wasm'))"
    for level in ("x86-64-v4", "x86-64-v3"):
        worse = site / f"demo/a.{NATIVE}.{level}.cwasm"
        if best.endswith(worse.name):
            # The next one is taken where this one is refused: here it is of another system.
            worse.write_bytes(
                (build(many, "aarch64-macos"))["macosx_11_0_arm64"].read(
                    "demo/a.aarch64-macos.cwasm"
                )
            )
            assert best not in run_python(code, site).output
            return
    assert best == f"demo/a.{NATIVE}.cwasm"


def test_profiles_targets_and_levels_multiply(many: Project):
    many.append(
        'cpu = ["x86-64-v2", "baseline"]\n'
        "profiles.default = {}\nprofiles.fuel.consume-fuel = true\n"
    )
    (built,) = build(many, "universal2-macos").values()
    assert {file for file, _target in artifacts(built)} == {
        "a.aarch64-macos.cwasm", "a.aarch64-macos.fuel.cwasm",
        "a.x86_64-macos.cwasm", "a.x86_64-macos.fuel.cwasm",
        "a.x86_64-macos.x86-64-v2.cwasm", "a.x86_64-macos.x86-64-v2.fuel.cwasm",
    }  # fmt: skip


@pytest.mark.parametrize("target", ["any", "riscv64-linux", "s390x-linux"])
def test_a_wheel_without_artifacts_compiles_silently(many: Project, tmp_path: Path, target: str):
    (built,) = build(many, target).values()
    assert artifacts(built) == []
    if target != "any":
        assert f"warning: wasmtime-py has no wheels for {target}" in built.output
    ran = run_python(
        "from demo._wazcache import *; print(load_module('a.wasm'), status('a.wasm'))",
        unpack(built.wheel, tmp_path / "site"), PYTHONWARNINGS="error",
    )  # fmt: skip
    assert ran.status == 0, ran.output
    assert "the wheel has none for this system" in ran.output


def test_android_has_the_artifacts_of_linux(wasmtime_cli: Path, tmp_path: Path, many: Project):
    # wasmtime compares architecture and operating system of the triples, and Android's is Linux.
    out = tmp_path / "a.cwasm"
    words = [wasmtime_cli, "compile", "-C", "collector=drc", "--target", "x86_64-linux-android"]
    subprocess.run([*words, "-o", out, many.root / "demo/a.wasm"], check=True)
    code = "import sys, wasmtime; wasmtime.Module.deserialize_file(wasmtime.Engine(), sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, out], check=False, capture_output=True)
    if NATIVE == "x86_64-linux":
        assert done.returncode == 0, done.stderr
    else:
        assert b"was compiled for" in done.stderr


# the wheel that an installer chooses


PLATFORMS = {
    "macosx_11_0_arm64": "aarch64-macos",
    "macosx_14_0_arm64": "aarch64-macos",
    "macosx_10_13_x86_64": "x86_64-macos",
    "macosx_15_0_x86_64": "x86_64-macos",
    "macosx_14_0_universal2": "universal2-macos",
    "win_amd64": "x86_64-windows",
    "win_arm64": "aarch64-windows",
    "manylinux1_x86_64": "x86_64-linux",
    "musllinux_1_2_x86_64": "x86_64-linux",
    "android_26_x86_64": "x86_64-linux",
    "manylinux2014_aarch64": "aarch64-linux",
    "musllinux_1_2_aarch64": "aarch64-linux",
    "android_26_arm64_v8a": "aarch64-linux",
    "manylinux_2_31_riscv64": "riscv64-linux",
    "manylinux2014_s390x": "s390x-linux",
    "manylinux2014_ppc64le": "any",
    "freebsd_14_amd64": "any",
}


@pytest.fixture
def folder(many: Project) -> Path:
    build(many, ",".join(TARGETS))
    return many.root / "dist"


def test_pip_takes_the_right_wheel_out_of_a_folder(folder: Path, tmp_path: Path):
    for platform, target in PLATFORMS.items():
        got = tmp_path / platform
        words = ["download", "-q", "--no-deps", "--no-index", "--only-binary=:all:"]
        words += ["--find-links", str(folder), "--platform", platform, "-d", str(got), "demo"]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True)
        (wheel,) = got.iterdir()
        assert {wheel.stem.split("-")[-1]} == tags(target), platform


UV_PLATFORMS = {
    "x86_64-unknown-linux-gnu": "x86_64-linux",
    "x86_64-unknown-linux-musl": "x86_64-linux",
    "x86_64-manylinux_2_28": "x86_64-linux",
    "aarch64-unknown-linux-gnu": "aarch64-linux",
    "aarch64-unknown-linux-musl": "aarch64-linux",
    "aarch64-manylinux_2_17": "aarch64-linux",
    "x86_64-linux-android": "x86_64-linux",
    "aarch64-linux-android": "aarch64-linux",
    "x86_64-apple-darwin": "x86_64-macos",
    "aarch64-apple-darwin": "aarch64-macos",
    "x86_64-pc-windows-msvc": "x86_64-windows",
    "aarch64-pc-windows-msvc": "aarch64-windows",
    "riscv64-unknown-linux": "riscv64-linux",
}


def test_uv_takes_the_right_wheel_out_of_a_folder(folder: Path, tmp_path: Path):
    for platform, target in UV_PLATFORMS.items():
        got = tmp_path / platform
        words = ["pip", "install", "-q", "--no-deps", "--no-index", "--find-links", str(folder)]
        words += ["--python-platform", platform, "--target", str(got), "demo"]
        # By default uv asks for the API level 24; there is no wasmtime for that.
        env = {**os.environ, "ANDROID_API_LEVEL": "26"}
        subprocess.run([sys.executable, "-m", "uv", *words], check=True, env=env)
        wheel = (got / "demo-1.0.dist-info" / "WHEEL").read_text()
        assert set(re.findall(r"Tag: py3-none-(\S+)", wheel)) == set(
            TARGETS[target].platform_tags
        ), platform
