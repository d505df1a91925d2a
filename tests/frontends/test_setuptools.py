"""setuptools: the same wheels as by the hatch hook."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_wazcache.engine.targets import TARGETS
from tests.support.marks import needs_c_compiler
from tests.support.paths import EXAMPLE
from tests.support.projects import (
    PYPROJECT,
    SETUPTOOLS_PYPROJECT,
    Built,
    Project,
    SetuptoolsProject,
    flat_setuptools_project,
    unpack_sdist,
)
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import (
    TARGET,
    load_editable,
    members,
    ours,
    precompiled,
    unpack,
    wheel_contents,
)

PLATFORM = ".".join(TARGETS[TARGET].platform_tags)
FOREIGN = "aarch64-linux" if TARGET != "aarch64-linux" else "x86_64-linux"
FIND = '[tool.setuptools.packages.find]\ninclude = ["demo*", "other*"]\n'


@pytest.fixture
def project(tmp_path: Path, warm: Callable[[Project], None]) -> SetuptoolsProject:
    made = flat_setuptools_project(tmp_path)
    warm(made)
    return made


def arrange(project: SetuptoolsProject, setuptools: str, assets: str = '["demo/*.wasm"]') -> None:
    """Give setuptools other options; `setuptools` is TOML."""
    project.options(f"assets = {assets}")
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace(FIND, setuptools + "\n"))


# the wheel


def test_the_wheel_holds_what_the_hatch_hooks_does_under_the_same_tags(tmp_path: Path):
    wheels = []
    for kind, project_folder in ((Project, "hatch"), (SetuptoolsProject, "setuptools")):
        project = kind(tmp_path / project_folder, tmp_path / "cache")
        shutil.copytree(EXAMPLE, project.root, ignore=shutil.ignore_patterns("dist", "*.cwasm"))
        if kind is SetuptoolsProject:
            project.write("pyproject.toml", (EXAMPLE / "setuptools.toml").read_bytes())
        built = project.build()
        assert members(built)
        wheels.append(built)
    hatch, setuptools = wheels
    assert setuptools.wheel.name == hatch.wheel.name
    assert wheel_contents(setuptools.wheel) == wheel_contents(hatch.wheel)
    info = "gofmt-1.0.0.dist-info"
    for name in ("entry_points.txt", "licenses/NOTICE"):
        assert setuptools.read(f"{info}/{name}").split() == hatch.read(f"{info}/{name}").split()
    for told in (b"Tag: ", b"Root-Is-Purelib: "):
        lines = [{line for line in built.read(f"{info}/WHEEL").splitlines() if told in line}
                 for built in wheels]  # fmt: skip
        assert lines[0] == lines[1]


def test_an_output_that_cannot_show_a_name_gets_it_escaped(project: SetuptoolsProject):
    """As pip's on Windows, which has a small encoding. To fail there, logging shows a traceback."""
    project.write("demo/größe.wasm", ANSWER)
    built = project.build(PYTHONIOENCODING="ascii")
    assert built.status == 0, built.output
    assert r"wazcache: demo/gr\xf6\xdfe.wasm: compiling" in built.output
    assert "Traceback" not in built.output
    assert f"demo/größe.{TARGET}.cwasm" in built.names


def test_a_second_build_compiles_nothing_and_makes_the_same_bytes(project: SetuptoolsProject):
    shutil.rmtree(project.cache)
    first = project.build()
    assert "1 compiled, 0 found" in first.output
    again = project.build()
    assert "0 compiled, 1 found" in again.output
    assert again.wheel.read_bytes() == first.wheel.read_bytes()


def test_the_assets_are_not_copied_wheel_contents(project: SetuptoolsProject):
    project.append("[tool.setuptools.package-data]\ndemo = ['*.wasm']\n")
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert "a.wasm" not in built.output.replace("wazcache: demo/a.wasm", "")
    assert list((project.root / "build").rglob("*.wasm")) == []


def test_a_wheel_build_leaves_the_sources_as_they_were(project: SetuptoolsProject):
    before = project.tree()
    project.build()
    assert project.tree() == before


@pytest.mark.parametrize("keep", [True, False])
def test_without_keep_wasm_the_artifact_goes_alone(project: SetuptoolsProject, keep: bool):
    project.append(f"keep-wasm = {str(keep).lower()}\n")
    project.append("[tool.setuptools.package-data]\ndemo = ['*']\n")
    expected = {"demo/__init__.py", *ours("demo", "a")} - ({"demo/a.wasm"} if not keep else set())
    assert members(project.build()) == expected


def test_what_old_builds_left_in_setuptools_folder_is_not_packed(project: SetuptoolsProject):
    project.options('assets = ["demo/**/*.wasm"]')
    project.write("demo/sub/__init__.py")
    project.write("demo/sub/old.wasm", tiny("old"))
    assert project.setup("build").status == 0
    left = {p.relative_to(project.root / "build/lib").as_posix()
            for p in (project.root / "build/lib").rglob("*") if p.is_file()}  # fmt: skip
    init = {"demo/__init__.py", "demo/sub/__init__.py"}
    assert left == {*init, *ours("demo", "a"), *ours("demo/sub", "old")}
    (project.root / "demo/sub/old.wasm").unlink()
    assert members(project.build()) == {*init, *ours("demo", "a")}


def test_a_plain_build_is_a_package_that_loads(project: SetuptoolsProject):
    done = project.setup("build")
    assert done.status == 0, done.output
    loaded = precompiled(project.root / "build/lib")
    assert loaded == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}


def test_build_and_bdist_wheel_at_once_are_as_one_after_the_other(project: SetuptoolsProject):
    alone = project.build()
    done = project.setup("build", "bdist_wheel")
    assert done.status == 0, done.output
    (wheel,) = (project.root / "dist").glob("*.whl")
    assert wheel.read_bytes() == alone.wheel.read_bytes()


# where files lie

LAYOUTS = {
    "package_data": ("[tool.setuptools.package-data]\ndemo = ['*.wasm', '*.txt']\n" + FIND, {}),
    "include_package_data with MANIFEST.in": (FIND, {"MANIFEST.in": "include demo/*.txt\n"}),
    "a MANIFEST.in that excludes": (
        "[tool.setuptools.package-data]\ndemo = ['*.txt']\n" + FIND,
        {"MANIFEST.in": "global-exclude *.wasm\n"},
    ),
    "no include_package_data": (
        "[tool.setuptools]\ninclude-package-data = false\n"
        "[tool.setuptools.package-data]\ndemo = ['*.txt']\n" + FIND,
        {},
    ),
    "exclude_package_data": (
        "[tool.setuptools.package-data]\ndemo = ['*']\n"
        "[tool.setuptools.exclude-package-data]\ndemo = ['*.wasm']\n" + FIND,
        {},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_assets_are_in_wheel_and_sdist_whatever_the_package_data(
    project: SetuptoolsProject, tmp_path: Path, name: str
):
    toml, files = LAYOUTS[name]
    arrange(project, toml)
    project.write("demo/note.txt", "note")
    for path, text in files.items():
        project.write(path, text)
    built = project.build()
    assert members(built) == {"demo/__init__.py", "demo/note.txt", *ours("demo", "a")}
    sdist = unpack_sdist(project.sdist(), tmp_path / "sdist", project.cache)
    assert {"demo/a.wasm", "demo/note.txt", "pyproject.toml"} <= set(sdist.tree())
    again = SetuptoolsProject(sdist.root, project.cache).build()
    assert again.wheel.name == built.wheel.name
    assert wheel_contents(again.wheel) == wheel_contents(built.wheel)


PLACES = {
    "src": (
        "[tool.setuptools.packages.find]\nwhere = ['src']\n",
        {"src/demo/__init__.py": "", "src/demo/sub/a.wasm": "demo/sub/a.wasm"},
    ),
    "package_dir of one package": (
        """[tool.setuptools]
packages = ["demo", "demo.more"]
package-dir = {demo = "lib", "demo.more" = "elsewhere"}
""",
        {
            "lib/__init__.py": "",
            "lib/a.wasm": "demo/a.wasm",
            "elsewhere/__init__.py": "",
            "elsewhere/deep/b.wasm": "demo/more/deep/b.wasm",
        },
    ),
    "namespace packages": (
        "[tool.setuptools.packages.find]\nwhere = ['src']\nnamespaces = true\n",
        {
            "src/name/space/demo/__init__.py": "",
            "src/name/space/demo/data/a.wasm": "name/space/demo/data/a.wasm",
        },
    ),
    "a namespace package with the asset": (
        "[tool.setuptools]\npackages = ['name.space']\n",
        {"name/space/module.py": "", "name/space/a.wasm": "name/space/a.wasm"},
    ),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("mode", ["wheel", "lenient", "strict"])
def test_assets_go_where_their_package_goes(
    project: SetuptoolsProject, tmp_path: Path, name: str, mode: str
):
    toml, files = PLACES[name]
    shutil.rmtree(project.root / "demo")
    wasm = {path: place for path, place in files.items() if path.endswith(".wasm")}
    arrange(project, toml, json.dumps(list(wasm)))
    for path in files:
        project.write(path, tiny(path) if path in wasm else "")
    expected = {place: place.replace(".wasm", f".{TARGET}.cwasm") for place in wasm.values()}
    if mode == "wheel":
        site = unpack(project.build().wheel, tmp_path / "site")
        assert precompiled(site) == expected
        return
    built = project.editable(mode)
    assert built.status == 0, built.output
    assert not any(name.endswith(("wasm", "_wazcache.py")) for name in built.names)
    assert load_editable(built, wasm.values()) == [True] * len(wasm)


def test_a_glob_for_all_folders_does_not_find_copies_in_build(project: SetuptoolsProject):
    project.options('assets = ["**/*.wasm"]')
    assert project.editable("strict").status == 0
    assert project.setup("build").status == 0
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}


# targets and tags


def test_plat_name_names_the_target_and_the_tag(project: SetuptoolsProject):
    tag = PLATFORM.partition(".")[0].replace("manylinux1_", "manylinux_2_28_")
    done = project.setup("bdist_wheel", "--plat-name", tag)
    assert done.status == 0, done.output
    (wheel,) = (project.root / "dist").glob("*.whl")
    assert wheel.name == f"demo-1.0-py3-none-{tag}.whl"
    built = Built(0, "", wheel)
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert f"Tag: py3-none-{tag}\n".encode() in built.read("demo-1.0.dist-info/WHEEL")


def test_plat_name_by_way_of_a_front_end(project: SetuptoolsProject):
    built = project.backend("build_wheel", {"--build-option": "--plat-name=any"})
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"
    assert members(built) == {"demo/__init__.py", "demo/a.wasm", *ours("demo")}
    assert b"Root-Is-Purelib: true" in built.read("demo-1.0.dist-info/WHEEL")


@pytest.mark.parametrize("tag", ["win32", "linux_armv7l", "nonsense"])
def test_a_plat_name_that_no_target_is_for_is_refused(project: SetuptoolsProject, tag: str):
    done = project.setup("-q", "bdist_wheel", "--plat-name", tag)
    assert done.status == 1
    assert f"--plat-name, tags the wheel {tag}, which is the platform of no target" in done.output
    assert "Traceback" not in done.output
    assert not (project.root / "dist").exists()


def test_a_plat_name_that_is_not_for_wazcache_target_is_refused(project: SetuptoolsProject):
    tag = TARGETS[FOREIGN].platform_tags[0]
    done = project.setup("-q", "bdist_wheel", "--plat-name", tag, WAZCACHE_TARGET=TARGET)
    assert done.status == 1
    assert (
        f'tagged the wheel "py3-none-{tag}", which does not fit the target {TARGET}' in done.output
    )
    assert "Traceback" not in done.output


def test_wazcache_target_is_what_is_built_for(project: SetuptoolsProject):
    built = project.build(WAZCACHE_TARGET="any")
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"


def test_a_build_warns_of_a_python_that_is_too_old_for_the_loader(project: SetuptoolsProject):
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace('">=3.9"', '">=3.8"'))
    built = project.build()
    assert built.status == 0, built.output
    assert built.output.count('wazcache: warning: project.requires-python = ">=3.8" admits') == 1


def test_a_wheel_for_one_system_says_last_how_others_get_theirs(project: SetuptoolsProject):
    built = project.build()
    line = f"this wheel is for {TARGET} only: users of other systems would build from the sdist"
    assert built.output.count(line) == 1
    assert "For a wheel that serves them: WAZCACHE_TARGET=any with" in built.output
    assert "of other systems" not in project.editable().output
    project.append('targets = "native"\n')
    assert "of other systems" not in project.build().output


def test_where_there_are_several_targets_the_build_says_which_this_is(project: SetuptoolsProject):
    project.append('targets = ["native", "any"]\n')
    built = project.build()
    assert (
        f"building for {TARGET}; set WAZCACHE_TARGET to build for another target (any)"
        in built.output
    )
    assert PLATFORM in built.wheel.name


EXTENSION = """\
from setuptools import Extension, setup
setup(ext_modules=[Extension("demo.native", ["demo/native.c"]{})])
"""
NATIVE_C = """\
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native"};
PyMODINIT_FUNC PyInit_native(void) {return PyModule_Create(&module);}
"""


@needs_c_compiler
@pytest.mark.parametrize("limited", [False, True])
def test_a_project_with_c_keeps_its_python_tags(project: SetuptoolsProject, limited: bool):
    more = ', py_limited_api=True, define_macros=[("Py_LIMITED_API", "0x030a0000")]'
    project.write("setup.py", EXTENSION.format(more if limited else ""))
    project.write("demo/native.c", NATIVE_C)
    if limited:
        project.write("setup.cfg", "[bdist_wheel]\npy_limited_api = cp310\n")
    built = project.build()
    assert built.status == 0, built.output
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"cp310-abi3-{platform}" if limited else f"{python}-{python}-{platform}"
    assert built.wheel.name == f"demo-1.0-{tag}.whl"
    names = {name for name in members(built) if not name.endswith((".so", ".c"))}
    assert names == {"demo/__init__.py", *ours("demo", "a")}
    assert any(name.startswith("demo/native") and name.endswith(".so") for name in built.names)
    done = project.backend("build_wheel", WAZCACHE_TARGET=FOREIGN)
    assert f'tagged the wheel "{tag}", which does not fit the target {FOREIGN}' in done.output
    assert "Traceback" not in done.output


# what a project can do to setuptools


def test_what_a_projects_own_build_step_generates_is_found(project: SetuptoolsProject):
    (project.root / "demo/a.wasm").unlink()
    project.write(
        "setup.py",
        "import pathlib\nfrom setuptools import setup\nfrom setuptools.command.build_py import "
        "build_py\n\nclass Own(build_py):\n    def run(self):\n"
        f"        pathlib.Path('demo/a.wasm').write_bytes({tiny('generated')!r})\n"
        "        super().run()\n\nsetup(cmdclass={'build_py': Own})\n",
    )
    assert members(project.build()) == {"demo/__init__.py", *ours("demo", "a")}


@pytest.mark.parametrize("where", ["setup.py", "pyproject.toml"])
def test_a_projects_own_commands_run_too(project: SetuptoolsProject, where: str):
    project.write(
        "own.py",
        "from setuptools.command.bdist_wheel import bdist_wheel\n\nclass Own(bdist_wheel):\n"
        "    def run(self):\n        print('my own')\n        super().run()\n",
    )
    if where == "setup.py":
        code = "import sys; sys.path.insert(0, '.')\nfrom own import Own\n"
        code += "from setuptools import setup; setup(cmdclass={'bdist_wheel': Own})\n"
        project.write("setup.py", code)
    else:
        arrange(project, f"[tool.setuptools.cmdclass]\nbdist_wheel = 'own.Own'\n{FIND}")
    built = project.build(PYTHONPATH=str(project.root))
    assert "my own" in built.output
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}


def test_a_project_whose_metadata_is_in_setup_cfg(project: SetuptoolsProject):
    project.write("pyproject.toml", '[tool.wazcache]\nassets = ["demo/*.wasm"]\n')
    project.write(
        "setup.cfg",
        "[metadata]\nname = demo\nversion = 1.0\n[options]\npackages = demo\n"
        "install_requires = wasmtime>=48,<49\n",
    )
    built = project.build()
    assert members(built) == {"demo/__init__.py", *ours("demo", "a")}
    assert "warning: project.dependencies" not in built.output


def test_a_project_without_our_table_is_left_alone(project: SetuptoolsProject):
    text = SETUPTOOLS_PYPROJECT.partition("[tool.wazcache]")[0]
    project.write("pyproject.toml", text)
    built = project.build()
    assert members(built) == {"demo/__init__.py"}
    assert built.wheel.name == "demo-1.0-py3-none-any.whl"
    assert "wazcache" not in built.output


# what to install for a build


@pytest.mark.parametrize(
    "hook", ["get_requires_for_build_wheel", "get_requires_for_build_editable"]
)
@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        ('dependencies = ["wasmtime>=48,<49", "x"]', {}, "wasmtime<49,>=48"),
        ("", {}, "wasmtime"),
        ('dynamic = ["dependencies"]', {"setup.py": "from setuptools import setup; "
         "setup(install_requires=['wasmtime==47.*'])"}, "wasmtime==47.*"),
        ('dependencies = ["wasmtime>=48"]', {"setup.py": "import setuptools\n"
         "class Own(setuptools.Distribution): pass\n"
         "setuptools.setup(distclass=Own)"}, "wasmtime>=48"),
        ('dynamic = ["dependencies"]', {"requirements.txt": "wasmtime~=46.0\n"}, "wasmtime~=46.0"),
        ('optional-dependencies = {run = ["wasmtime>=45,<46"]}', {}, "wasmtime<46,>=45"),
    ],
    ids=["pyproject", "nowhere", "setup.py", "a distribution of its own", "a file", "an extra"],
)  # fmt: skip
def test_a_front_end_is_told_the_wasmtime_that_the_project_names(
    project: SetuptoolsProject, hook: str, toml: str, files: dict[str, str], expected: str
):
    text = SETUPTOOLS_PYPROJECT.replace('dependencies = ["wasmtime>=48,<49"]', toml)
    if "requirements.txt" in files:
        text += "[tool.setuptools.dynamic]\ndependencies = {file = 'requirements.txt'}\n"
    project.write("pyproject.toml", text)
    for path, content in files.items():
        project.write(path, content)
    project.use("")
    code = f"from setuptools import build_meta; print(*build_meta.{hook}())"
    done = project.run_python("-c", code)
    assert done.output.splitlines()[-1] == expected, done.output
    assert not (project.root / "demo.egg-info").exists()


# one table for every build system


def test_the_hatch_hook_reads_the_shared_table(project: SetuptoolsProject, tmp_path: Path):
    hatch = Project(tmp_path / "project", tmp_path / "cache")
    hatch.options("")
    hatch.append('[tool.wazcache]\nassets = ["demo/*.wasm"]\n')
    assert members(hatch.build()) == {"demo/__init__.py", *ours("demo", "a")}
    hatch.append("timeot = 3\n")
    assert "wazcache: tool.wazcache.timeot: there is no such option" in hatch.build().output


@pytest.mark.parametrize("kind", [Project, SetuptoolsProject])
def test_options_in_both_tables_are_refused(tmp_path: Path, kind: type[Project]):
    project = kind(tmp_path / "project", tmp_path / "cache")
    project.write("demo/__init__.py")
    project.write("demo/a.wasm", tiny("a"))
    project.write("pyproject.toml", project.pyproject)
    other = PYPROJECT if kind is SetuptoolsProject else SETUPTOOLS_PYPROJECT
    project.append(
        other[other.index("[tool.hatch" if kind is SetuptoolsProject else "[tool.waz") :]
    )
    built = project.build()
    assert built.status != 0
    tables = "tool.wazcache and tool.hatch.build.hooks.wazcache"
    assert f"wazcache: {tables} both have options; move them all into one" in built.output
    assert "Traceback" not in built.output


@pytest.mark.parametrize("value", ["3", "[]", '"x"'])
def test_a_table_that_is_none_is_refused(project: SetuptoolsProject, value: str):
    text = SETUPTOOLS_PYPROJECT.partition("[tool.wazcache]")[0]
    project.write("pyproject.toml", f"{text}[tool]\nwazcache = {value}\n")
    built = project.build()
    assert "wazcache: tool.wazcache: must be a table of options" in built.output
    assert "Traceback" not in built.output


# the command line


def test_the_command_line_finds_the_project(project: SetuptoolsProject):
    shutil.rmtree(project.cache)
    project.write("demo/b.wasm", ANSWER)
    before = project.tree()
    warm = project.run("hatch_wazcache", "warm")
    assert warm.status == 0, warm.output
    assert "2 compiled, 0 found in the cache" in warm.output
    why = project.run("hatch_wazcache", "why", "b.wasm", "--json")
    assert json.loads(why.output)["artifacts"][0]["hit"] is True
    assert project.run("hatch_wazcache", "dir").output.strip() == str(project.cache)
    assert sorted(p.name for p in project.root.iterdir()) == ["demo", "pyproject.toml"]
    assert project.tree() == before
    assert "0 compiled, 2 found" in project.build().output


def test_the_command_line_says_what_is_wrong_with_a_setup_script(project: SetuptoolsProject):
    project.write("setup.py", "raise RuntimeError('not today')\n")
    done = project.run("hatch_wazcache", "why", "a.wasm")
    assert done.status == 1
    assert "not today" in done.output
    assert "Traceback" not in done.output
