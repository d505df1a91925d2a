"""An editable install: artifacts in the source tree, which no distribution contains."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hatch_wazcache.formats.wasm import FileStamp
from tests.support.environments import UNMEASURED
from tests.support.layouts import DEMO, LAYOUTS
from tests.support.paths import ROOT
from tests.support.projects import Project, run_python, unpack_sdist
from tests.support.refusals import needs_linux, powerless
from tests.support.wasm import ANSWER, tiny
from tests.support.wheels import TARGET, members, precompiled

ARTIFACT = f"demo/a.{TARGET}.cwasm"
WROTE = {ARTIFACT, "demo/_wazcache.json", "demo/_wazcache.py"}
METERED = """
[tool.hatch.build.hooks.wazcache.profiles.metered]
consume-fuel = true
"""


@pytest.fixture
def project(project: Project, warm: Callable[[Project], None]) -> Project:
    warm(project)
    editable_by_path(project)
    return project


def editable_by_path(project: Project, *folders: str) -> None:
    """Have hatchling make a .pth file, without the package `editables`."""
    project.append(f"\n[tool.hatch.build]\ndev-mode-dirs = {json.dumps(folders or ['.'])}\n")


def install(project: Project, **env: str) -> str:
    built = project.editable(**env)
    assert built.status == 0, built.output
    return built.output


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def status(project: Project, path: str = ".") -> str:
    """Load the asset from the source tree; return its bytes' story, warnings among them."""
    ran = run_python(
        "from demo._wazcache import *; load_module('a.wasm'); print(status('a.wasm'))",
        project.root / path,
    )
    assert ran.status == 0, ran.output
    return ran.output


# the files that it writes


def test_artifacts_manifest_and_loader_lie_next_to_the_wasm_and_load(project):
    before = set(project.tree())
    install(project)
    assert set(project.tree()) == before | WROTE
    assert precompiled(project.root) == {"demo/a.wasm": ARTIFACT}
    assert (project.root / "demo/_wazcache.py").read_bytes() == (
        ROOT / "hatch_wazcache/resources/loader.py"
    ).read_bytes()


def test_the_editable_wheel_itself_holds_nothing_of_ours(project):
    built = project.editable()
    assert members(built) == {"_demo.pth"}


def test_artifacts_lie_beside_a_wasm_that_force_include_takes_from_another_folder(tmp_path):
    project = LAYOUTS["force-include-of-a-file"].make(tmp_path)
    editable_by_path(project)
    before = set(project.tree())
    install(project)
    artifact = f"rust/out/a.{TARGET}.cwasm"
    assert set(project.tree()) == before | {artifact, "demo/_wazcache.json", "demo/_wazcache.py"}
    assert precompiled(project.root) == {"demo/data/renamed.wasm": artifact}
    assert project.hatchling("-t", "wheel", "--clean-only").status == 0
    assert set(project.tree()) == before


def test_an_asset_of_another_folder_loads_by_its_name_and_by_its_real_path(tmp_path):
    project = LAYOUTS["force-include-of-a-folder"].make(tmp_path)
    editable_by_path(project)
    install(project)
    ran = run_python(
        "from pathlib import Path; from demo._wazcache import *\n"
        f"for name in 'data/a.wasm', Path({str(project.root / 'rust/out/a.wasm')!r}):\n"
        "    load_module(name, strict=True)",
        project.root,
    )
    assert ran.status == 0, ran.output


def test_an_asset_of_another_folder_is_compiled_when_its_artifact_is_gone(tmp_path):
    project = LAYOUTS["force-include-of-a-file"].make(tmp_path)
    editable_by_path(project)
    install(project)
    (project.root / f"rust/out/a.{TARGET}.cwasm").unlink()
    ran = run_python(
        "from demo._wazcache import *; print(load_module('data/renamed.wasm'))", project.root
    )
    assert "the file is missing" in ran.output
    assert "Module object" in ran.output


def test_each_file_has_the_permissions_that_the_umask_gives(project):
    before = os.umask(0o027)
    try:
        install(project)
    finally:
        os.umask(before)
    assert {(project.root / name).stat().st_mode & 0o777 for name in WROTE} == {0o640}


def test_a_file_of_the_project_in_an_artifacts_place_is_not_replaced(project):
    own = project.write(ARTIFACT, b"the project's own")
    built = project.editable()
    assert built.status != 0
    assert f"{own}: an editable install writes an artifact of demo/a.wasm there" in built.output
    assert "Traceback" not in built.output
    assert own.read_bytes() == b"the project's own"


def test_two_artifacts_that_would_lie_in_one_place_are_refused(project):
    project.wasm("data/a.wasm")
    project.wasm("data/a")
    project.options('assets = ["data/a*"]')
    project.append(
        "[tool.hatch.build.targets.wheel.force-include]\n"
        "'data/a.wasm' = 'demo/one.wasm'\n'data/a' = 'demo/two.wasm'\n"
    )
    editable_by_path(project)
    built = project.editable()
    assert built.status != 0
    assert "artifacts of data/a.wasm and data/a would both lie there" in built.output
    assert not list((project.root / "data").glob("*.cwasm"))


def test_a_package_folder_that_leads_out_of_the_project_is_refused(project, tmp_path):
    outside = tmp_path / "outside"
    (project.root / "demo").rename(outside)
    (project.root / "demo").symlink_to(outside)
    project.wasm("data/a.wasm")
    project.options('assets = ["data/*.wasm"]')
    project.append(
        "[tool.hatch.build.targets.wheel]\npackages = ['demo']\n"
        "[tool.hatch.build.targets.wheel.force-include]\ndata = 'demo/data'\n"
    )
    editable_by_path(project)
    before = os.listdir(outside)
    built = project.editable()
    assert built.status != 0
    assert f"demo: leads out of the project's root, to {outside}; an editable" in built.output
    assert "Traceback" not in built.output
    assert os.listdir(outside) == before


# a tree that cannot be written


def read_only(project: Project, tmp_path: Path) -> None:
    project.python = powerless(tmp_path)
    (project.root / "demo").chmod(0o555)


@needs_linux
def test_a_tree_that_cannot_be_written_keeps_what_it_has_and_a_warning_says_so(project, tmp_path):
    install(project)
    project.write("demo/a.wasm", tiny("changed"))
    read_only(project, tmp_path)
    output = install(project)
    assert "wazcache: warning: " in output
    assert "cannot be written: Permission denied; an editable install" in output
    assert "without them the package compiles the .wasm when it loads it" in output
    assert "beside the .wasm files, for" not in output
    assert "precompiled=False" in status(project)


@needs_linux
@pytest.mark.parametrize("strict", [False, True])
def test_a_tree_that_cannot_be_written_is_an_error_without_a_loader_and_where_strict_is_on(
    project, tmp_path, strict
):
    if strict:
        install(project)
        project.write("demo/a.wasm", tiny("changed"))
    read_only(project, tmp_path)
    built = project.editable(**({"WAZCACHE_STRICT": "1"} if strict else {}))
    assert built.status != 0
    assert "cannot be written: Permission denied" in built.output
    assert "Traceback" not in built.output


# an artifact of another wasm never runs


@pytest.mark.parametrize("before", ["old", "before!"])
def test_a_wasm_that_has_changed_is_compiled_and_a_warning_says_why(project, before):
    """Its time tells nothing, and often its size does not either."""
    wasm = project.write("demo/a.wasm", tiny(before))
    install(project)
    status_before = wasm.stat()
    wasm.write_bytes(tiny("changed"))
    os.utime(wasm, ns=(status_before.st_atime_ns, status_before.st_mtime_ns))
    output = status(project)
    assert "the .wasm has changed since; install the project again" in output
    assert "precompiled=False" in output
    install(project)
    assert "precompiled=True" in status(project)


def test_a_wasm_that_changes_while_the_build_goes_on_is_not_taken_for_the_compiled_one(project):
    project.append("[tool.hatch.build.targets.wheel.hooks.custom]\n")
    project.write(
        "hatch_build.py",
        f"""\
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):  # after wazcache's
        Path("demo/a.wasm").write_bytes({tiny("later")!r})
""",
    )
    install(project)
    assert "precompiled=False" in status(project)


def test_a_failed_install_leaves_no_old_artifact_for_a_new_wasm(project):
    project.write("demo/a.wasm", tiny("old a"))
    project.write("demo/b.wasm", tiny("old b"))
    install(project)
    old = (project.root / f"demo/b.{TARGET}.cwasm").read_bytes()
    project.write("demo/a.wasm", tiny("new a"))
    project.write("demo/b.wasm", tiny("new b"))
    (project.root / ARTIFACT).unlink()
    (project.root / ARTIFACT).mkdir()
    built = project.editable()
    assert built.status != 0
    assert "cannot be written" in built.output
    assert "Traceback" not in built.output
    ran = run_python("from demo._wazcache import *; print(status('b.wasm'))", project.root)
    left = project.root / f"demo/b.{TARGET}.cwasm"
    assert "precompiled=False" in ran.output or left.read_bytes() != old, ran.output


_KILLED_AT_A_STEP = """
import os, sys
folder, left = sys.argv[1], int(sys.argv[2])

def count(event, arguments):
    global left
    if event in ("os.remove", "os.rename") and str(arguments[0]).startswith(folder):
        left -= 1
        if left == 0:
            os._exit(9)

sys.addaudithook(count)
sys.argv[1:] = ["build", "-t", "wheel:editable"]
from hatchling.cli import hatchling
hatchling()
"""


def test_an_install_that_is_killed_at_any_step_leaves_no_old_artifact_for_a_new_wasm(project):
    def write(number: int) -> None:
        """Write two assets; their artifacts differ with the number."""
        for name in ("demo/a.wasm", "demo/b.wasm"):
            number += 1
            project.write(name, ANSWER.replace(b"\x41\x2a", bytes([0x41, number])))

    def artifacts() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (project.root / "demo").glob("*.cwasm")}

    write(10)
    install(project)
    expected = artifacts()
    for step in range(1, 20):
        write(20)
        install(project)
        write(10)
        killed = project.run_python("-c", _KILLED_AT_A_STEP, project.root / "demo", str(step))
        manifest = json.loads((project.root / "demo/_wazcache.json").read_text())
        if manifest["assets"]["a.wasm"]["sha256"] == sha256(project.root / "demo/a.wasm"):
            assert artifacts().items() <= expected.items()
        if killed.status == 0:
            break
        assert killed.status == 9, killed.output
    assert step > 5  # two removals, the manifest and two artifacts
    assert artifacts() == expected


def test_a_disk_that_is_full_when_an_artifact_is_written_is_said(project):
    install(project)
    (project.root / ARTIFACT).unlink()
    code = (
        "import os, resource, sys; from hatchling.cli import hatchling; os.chdir(sys.path[1]); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); "
        "sys.argv[1:] = ['build', '-t', 'wheel:editable']; hatchling()"
    )
    built = run_python(code, project.root, **project.env(**UNMEASURED))
    assert built.status != 0
    assert f"{project.root}: cannot be written: File too large; an editable" in built.output
    assert "Traceback" not in built.output


# the next install


def test_the_next_install_removes_what_is_stale(project):
    project.wasm("demo/b.wasm")
    install(project)
    text = (project.root / "pyproject.toml").read_text()
    (project.root / "demo/b.wasm").unlink()
    project.options('assets = ["demo/*.wasm"]\nloader = "demo/wasm.py"' + METERED)
    editable_by_path(project)
    install(project)
    expected = {"demo/__init__.py", "demo/a.wasm", "pyproject.toml", "demo/wasm.py",
                "demo/wasm.json", f"demo/a.{TARGET}.metered.cwasm"}  # fmt: skip
    assert set(project.tree()) == expected
    project.write("pyproject.toml", text)
    install(project)
    assert set(project.tree()) == {"demo/__init__.py", "demo/a.wasm", "pyproject.toml", *WROTE}


def test_the_next_install_removes_what_an_asset_left_in_another_package(project):
    project.options('assets = ["demo/**/*.wasm"]')
    editable_by_path(project)
    project.write("demo/one/__init__.py")
    project.write("demo/two/__init__.py")
    project.wasm("demo/one/a.wasm")
    install(project)
    (project.root / "demo/one/a.wasm").rename(project.root / "demo/two/a.wasm")
    install(project)
    assert [path for path in project.tree() if "/one/" in path] == ["demo/one/__init__.py"]


def test_the_next_install_does_not_touch_what_is_right_already(project):
    install(project)
    before = {name: FileStamp.of((project.root / name).stat()) for name in WROTE}
    install(project)
    assert {name: FileStamp.of((project.root / name).stat()) for name in WROTE} == before


# it goes no further


@pytest.mark.parametrize(
    "name",
    [
        "flat", "data-folder", "several-packages-a-loader-each", "sources-change-a-prefix",
        "force-include-of-a-file", "force-include-of-a-folder", "hidden-folder",
        "links-inside-the-root", "a-loader-of-another-name-and-place",
    ],
)  # fmt: skip
def test_no_leftover_gets_into_a_wheel_or_an_sdist(name, tmp_path):
    project = LAYOUTS[name].make(tmp_path)
    text = (project.root / "pyproject.toml").read_text("utf-8")
    clean_sdist, clean_wheel = project.sdist().read_bytes(), project.build()
    clean = members(clean_wheel), clean_wheel.wheel.read_bytes()
    tree = project.tree()
    editable_by_path(project)
    project.append(METERED)  # an artifact that no later build replaces
    project.append("[tool.hatch.build.hooks.wazcache.profiles.default]\n")
    install(project)
    assert len(project.tree()) > len(tree) + 2
    project.write("pyproject.toml", text)
    assert project.sdist().read_bytes() == clean_sdist
    built = project.build()
    assert (members(built), built.wheel.read_bytes()) == clean


def test_not_even_of_a_killed_install(project):
    clean_sdist = project.sdist().read_bytes()
    clean = project.build().wheel.read_bytes()
    install(project)
    (project.root / "demo/_wazcache.json").unlink()
    (project.root / "demo/_wazcache.py").unlink()
    project.write(f"demo/a.{TARGET}.metered.cwasm", b"of another profile")
    project.write("demo/.wazcache-0123456789abcdef.tmp", b"of a killed process")
    assert project.sdist().read_bytes() == clean_sdist
    assert project.build().wheel.read_bytes() == clean
    install(project)
    assert not (project.root / "demo/.wazcache-0123456789abcdef.tmp").exists()


def test_not_even_of_an_asset_that_is_gone_or_of_a_loader_of_another_name(project):
    project.options('assets = ["demo/**/*.wasm"]\nloader = "demo/wasm.py"')
    editable_by_path(project)
    project.write("demo/sub/__init__.py")
    project.wasm("demo/sub/gone.wasm")
    install(project)
    (project.root / "demo/sub/gone.wasm").unlink()
    project.options('assets = ["demo/*.wasm"]')
    built = project.build()
    assert members(built) == {*DEMO, "demo/sub/__init__.py"}
    sdist = unpack_sdist(project.sdist(), project.root.parent / "sdist", project.cache)
    assert set(sdist.tree()) == {"PKG-INFO", "demo/__init__.py", "demo/a.wasm",
                                 "demo/sub/__init__.py", "pyproject.toml"}  # fmt: skip


def test_a_cwasm_of_the_projects_own_is_no_leftover(project):
    project.write("demo/model.cwasm", b"the project's own")
    install(project)
    assert members(project.build()) == {*DEMO, "demo/model.cwasm"}


# clean


CLEAN = {
    "--clean": ["-t", "wheel:standard", "-c", "--hooks-only"],
    "--clean-only": ["-t", "wheel", "--clean-only"],
}


@pytest.mark.parametrize("words", CLEAN.values(), ids=CLEAN)
def test_clean_removes_exactly_what_was_written(project, words):
    project.write("demo/notes.json", "{}")
    before = project.tree()
    install(project)
    assert project.hatchling(*words).status == 0
    assert project.tree() == before


def test_clean_by_the_environment_removes_it_before_a_build(project):
    before = project.tree()
    install(project)
    assert members(project.build(HATCH_BUILD_CLEAN="true")) == DEMO
    assert project.tree() == before


@pytest.mark.parametrize(
    "name", ["force-include-of-a-folder", "hidden-folder", "a-loader-of-another-name-and-place"]
)
def test_clean_works_when_assets_options_and_wasmtime_are_gone(name, tmp_path):
    project = LAYOUTS[name].make(tmp_path)
    editable_by_path(project)
    before = project.tree()
    install(project)
    for path in project.root.rglob("*.wasm"):
        path.unlink()
    text = (project.root / "pyproject.toml").read_text("utf-8")
    project.write("pyproject.toml", text.replace("assets = ", "wrong = "))
    cleaned = project.hatchling("-t", "wheel", "--clean-only")
    assert cleaned.status == 0, cleaned.output
    assert project.tree() == [path for path in before if not path.endswith(".wasm")]


def test_clean_keeps_a_loader_that_the_project_has_committed(project):
    loader = project.write("demo/_wazcache.py", "# The loader of hatch-wazcache: committed\n")
    install(project)
    install(project)
    assert project.hatchling("-t", "wheel", "--clean-only").status == 0
    assert loader.exists()
    assert "demo/_wazcache.json" not in project.tree()


def test_clean_keeps_a_cwasm_of_the_projects_own_even_if_a_manifest_lists_it(project):
    install(project)
    own = project.write("demo/model.cwasm", (project.root / ARTIFACT).read_bytes())
    replaced = project.write(ARTIFACT, b"the project's own by now")
    assert project.hatchling("-t", "wheel", "--clean-only").status == 0
    assert own.exists()
    assert replaced.read_bytes() == b"the project's own by now"
    assert "demo/_wazcache.json" not in project.tree()


def test_clean_leaves_other_projects_below_the_root_alone(project):
    other = Project(project.root / "worktree", project.cache)
    other.write("pyproject.toml", (project.root / "pyproject.toml").read_text())
    other.write("demo/__init__.py")
    other.wasm("demo/a.wasm")
    install(other)
    before = project.tree()
    install(project)
    assert project.hatchling("-t", "wheel", "--clean-only").status == 0
    assert project.tree() == before


@pytest.mark.parametrize("words", [["-t", "wheel", "--clean-only"], ["-t", "wheel:editable"]])
def test_a_hostile_manifest_deletes_nothing_outside_or_of_another_kind(project, words):
    outside = project.root.parent / "outside"
    safe = [
        project.write("../outside/x.cwasm"), project.write("x.cwasm"), project.write("demo/x.txt"),
        project.write("demo/other.py"), project.write("demo/sub/_wazcache.py"),
    ]  # fmt: skip
    (project.root / "demo/link").symlink_to(outside)
    names = [
        "../x.cwasm", "../../outside/x.cwasm", str(outside / "x.cwasm"), "link/x.cwasm", "x.txt",
        "other.py", "sub/_wazcache.py", "..\\x.cwasm", "\0", "", ".", 1, None,
    ]  # fmt: skip
    manifest = {"schema": 2, "editable": {"project": "demo", "wrote": names}}
    project.write("demo/_wazcache.json", json.dumps(manifest))
    done = project.hatchling(*words)
    assert done.status == 0, done.output
    assert all(path.exists() for path in safe)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 2, "editable": 3}', "\xff"])
def test_a_broken_manifest_is_no_trouble(project, text):
    project.write("demo/_wazcache.json", text.encode("latin-1"))
    assert project.hatchling("-t", "wheel", "--clean-only").status == 0
    install(project)
    assert "precompiled=True" in status(project)
