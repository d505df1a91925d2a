"""The command that compiles finished wheels: its options, from three places."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import answer, refused, run, said
from tests.support.projects import STOCK_PYPROJECT, Project
from tests.support.wasm import ANSWER
from tests.support.wheels import TARGET

STOCK = f"""\
{STOCK_PYPROJECT}
[tool.hatch.build.targets.wheel]
packages = ["src/demo"]
"""
ANY = "demo-1.0-py3-none-any.whl"
OPTIONS = {
    "assets": "x/*.wasm",
    "targets": "x86-linux",
    "cpu": "x86-64-v9",
    "strip": "all",
    "loader": "loader.txt",
    "max-size": "much",
    "timeout": "0",
    "engine": "wasmer",
    "engines": "old",
    "companion": "-",
    "fallback": "wait",
    "profiles": "default.consume-fuel=maybe",
}
"""Each option with a wrong value, except the glob, which only matches nothing."""


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("stock")
    project = Project(folder / "project", folder / "cache")
    project.write("pyproject.toml", STOCK)
    project.write("src/demo/__init__.py")
    project.write("src/demo/a.wasm", ANSWER)
    project.write("src/demo/data/b.wasm", ANSWER)
    assert project.hatchling("-t", "wheel").wheel
    return project


@pytest.fixture
def project(_built: Project, tmp_path: Path) -> Project:
    """A project without our table, with its wheel in `dist`."""
    shutil.copytree(_built.root, tmp_path / "project")
    return Project(tmp_path / "project", _built.cache)


@pytest.fixture
def alone(project: Project, tmp_path: Path) -> Project:
    """A folder that has the wheel and no project."""
    folder = tmp_path / "größe & 'co'"
    (folder / "dist").mkdir(parents=True)
    shutil.copy(project.root / "dist" / ANY, folder / "dist")
    return Project(folder, project.cache)


def manifest(wheel: str | Path, root: Path) -> dict:
    import zipfile

    with zipfile.ZipFile(root / wheel) as archive:
        return json.loads(archive.read("demo/_wazcache.json"))


def problems(project: Project, *words: str | Path) -> list[str]:
    """Return the lines of a refusal; nothing is written."""
    done = run(project, "compile", f"dist/{ANY}", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert not (project.root / "wheelhouse").exists()
    return [line.removeprefix("hatch-wazcache: ") for line in done.stderr.splitlines()]


def test_without_a_project_all_wasm_files_of_the_wheel_are_assets(alone: Project):
    before = (alone.root / "dist" / ANY).read_bytes()
    made = said(alone, "compile", f"dist/{ANY}").splitlines()
    assert [Path(path).parent for path in made] == [alone.root / "wheelhouse"] * 2
    native, pure = (manifest(path, alone.root) for path in made)
    assert sorted(native["assets"]) == ["a.wasm", "data/b.wasm"] == sorted(pure["assets"])
    assert [one["target"] for one in native["assets"]["a.wasm"]["artifacts"]] == [TARGET]
    assert pure["assets"]["a.wasm"]["artifacts"] == []
    assert (alone.root / "dist" / ANY).read_bytes() == before
    assert {path.name for path in alone.root.iterdir()} == {"dist", "wheelhouse"}


def test_json_names_the_wheels_and_counts(alone: Project):
    said(alone, "compile", f"dist/{ANY}")
    done = answer(alone, "compile", f"dist/{ANY}", "-w", "out", "--targets", "any")
    wheel = str(alone.root / "out" / ANY)
    (made,) = done.pop("made")
    assert made["path"] == wheel
    assert done == {"wheels": [wheel], "compiled": 0, "found": 0}


def test_every_option_has_a_flag_and_all_wrong_ones_are_named_at_once(alone: Project):
    words = [word for name, value in OPTIONS.items() for word in (f"--{name}", value)]
    found = problems(alone, *words)
    named = {line.partition(" = ")[0].partition("[")[0].partition(".")[0] for line in found}
    assert named == {f"--{name}" for name in OPTIONS} - {"--assets"}
    assert '--targets[0] = "x86-linux": must be one of' in "\n".join(found)


@pytest.mark.parametrize("words", [("default=1", "default.x=2"), ("default.x=2", "default=1")])
def test_a_profile_that_is_no_table_is_one_message(alone: Project, words: tuple[str, str]):
    (problem,) = problems(alone, *(f"--profiles={word}" for word in words))
    assert problem == '--profiles.default = "1": must be a table of engine settings'


def test_a_glob_that_matches_nothing_names_the_files_of_the_wheel(alone: Project):
    (line,) = problems(alone, "--assets", "x/*.wasm")
    assert line == (
        f'dist/{ANY}: --assets: "x/*.wasm" matches no file in the wheel; '
        "there are demo/a.wasm, demo/data/b.wasm"
    )


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (
            ["--profiles", "default.consume-fuel=true"],
            "profiles",
            {"default": {"consume-fuel": True}},
        ),
        (["--strip", "name,debug"], "strip", ["name", "debug"]),
        (["--fallback", "error"], "fallback", "error"),
    ],
)
def test_a_flag_sets_its_option(alone: Project, words: list[str], field: str, value: object):
    (wheel,) = said(alone, "compile", f"dist/{ANY}", "--targets", "native", *words).splitlines()
    assert manifest(wheel, alone.root)[field] == value


def test_flags_that_are_on_or_off(alone: Project):
    (wheel,) = said(
        alone,
        "compile",
        f"dist/{ANY}",
        "--targets",
        "native",
        "--no-keep-wasm",
        "--loader",
        "false",
    ).splitlines()
    assert manifest(wheel, alone.root)["assets"]["a.wasm"]["wasm"] is None


def test_the_table_of_the_wheels_project_is_used_as_its_hook_would(project: Project):
    project.append(
        '[tool.hatch.build.hooks.wazcache]\nassets = "src/demo/*.wasm"\n'
        'targets = "native"\nprofiles.fuel.consume-fuel = true\n'
    )
    (wheel,) = said(project, "compile", f"dist/{ANY}").splitlines()
    assert manifest(wheel, project.root)["profiles"] == {"fuel": {"consume-fuel": True}}
    assert list(manifest(wheel, project.root)["assets"]) == ["a.wasm"]
    by_flag = said(project, "compile", f"dist/{ANY}", "--assets", "demo/data/*.wasm", "-w", "two")
    assert list(manifest(by_flag.strip(), project.root)["assets"]) == ["data/b.wasm"]


def test_a_wrong_option_of_the_project_has_its_toml_path(project: Project):
    project.append('[tool.wazcache]\nassets = "src/demo/*.wasm"\ntarget = "native"\n')
    (line,) = problems(project)
    assert line.startswith("tool.wazcache.target: there is no such option; did you mean targets?")


def test_a_project_found_with_project_is_used(project: Project, alone: Project):
    project.append('[tool.wazcache]\nassets = "src/demo/*.wasm"\ntargets = "native"\n')
    words = ("compile", f"dist/{ANY}", "--project", project.root)
    (wheel,) = said(alone, *words).splitlines()
    assert list(manifest(wheel, alone.root)["assets"]) == ["a.wasm"]


def test_the_options_of_another_project_are_not_used(project: Project):
    other = STOCK.replace('name = "demo"', 'name = "other"')
    project.write("pyproject.toml", f'{other}[tool.wazcache]\nassets = "src/demo/*.wasm"\n')
    done = run(project, "compile", f"dist/{ANY}", "--targets", "any")
    assert done.returncode == 0
    about = f"the project in {project.root} is other"
    assert f"{ANY}: {about}, so its options are not used" in done.stderr
    assert list(manifest(done.stdout.strip(), project.root)["assets"]) == ["a.wasm", "data/b.wasm"]
    shutil.rmtree(project.root / "wheelhouse")
    (line,) = problems(project, "--project", ".")
    assert line == f"dist/{ANY}: --project .: {about}, not demo"


def test_a_project_without_options_is_an_error_if_it_is_named(project: Project):
    message = refused(project, "compile", f"dist/{ANY}", "--project", ".")
    assert message.endswith(
        "--project .: there is no pyproject.toml with [tool.wazcache], or with the table of the "
        "build hook wazcache"
    )


def test_the_name_of_a_project_can_be_in_setup_cfg(project: Project):
    project.write("pyproject.toml", '[tool.wazcache]\nassets = ["src/demo/a.wasm"]\n')
    project.write("setup.cfg", "[metadata]\nname = demo\n")
    said(project, "compile", f"dist/{ANY}")
    made = list((project.root / "wheelhouse").iterdir())
    assert [list(manifest(wheel, project.root)["assets"]) for wheel in made] == [["a.wasm"]] * 2


@pytest.mark.parametrize("cfg", ["[metadata\n", "[metadata]\n", ""])
def test_a_project_of_unknown_name_is_used_only_if_it_is_named(project: Project, cfg: str):
    project.write("pyproject.toml", '[tool.wazcache]\nassets = ["src/demo/a.wasm"]\n')
    project.write("setup.cfg", cfg)
    done = run(project, "compile", f"dist/{ANY}")
    assert done.returncode == 0, done.stderr
    assert "of an unknown name, so its options are not used; name it with --project" in done.stderr
    shutil.rmtree(project.root / "wheelhouse")
    said(project, "compile", f"dist/{ANY}", "--project", ".")
    made = list((project.root / "wheelhouse").iterdir())
    assert [list(manifest(wheel, project.root)["assets"]) for wheel in made] == [["a.wasm"]] * 2


def test_no_code_of_the_project_runs(project: Project):
    project.append('[tool.wazcache]\nassets = "src/demo/*.wasm"\n')
    project.write("setup.py", "raise SystemExit('setup.py was run')\n")
    project.write("hatch_build.py", "raise SystemExit('hatch_build.py was run')\n")
    said(project, "compile", f"dist/{ANY}", "--targets", "any")


def test_a_compiled_wheel_is_compiled_again_with_its_own_options(alone: Project):
    words = ("--profiles", "fuel.consume-fuel=true", "--strip", "name", "--targets", "native")
    assets = ("--assets", "demo/data/*.wasm")
    (first,) = said(alone, "compile", f"dist/{ANY}", *words, *assets).splitlines()
    (again,) = said(alone, "compile", first, "-w", "again").splitlines()
    assert Path(again).read_bytes() == Path(first).read_bytes()


def test_a_whole_release_is_compiled_again_each_wheel_for_its_own_target(alone: Project):
    wheels = said(alone, "compile", f"dist/{ANY}").splitlines()
    assert len(wheels) == 2
    again = said(alone, "compile", *wheels, "-w", "again").splitlines()
    assert [Path(one).name for one in again] == [Path(one).name for one in wheels]
    assert [Path(one).read_bytes() for one in again] == [Path(one).read_bytes() for one in wheels]


def test_extend_keeps_the_engines_of_a_wheel(alone: Project):
    (first,) = said(alone, "compile", f"dist/{ANY}", "--targets", "native").splitlines()
    (more,) = said(alone, "compile", first, "--extend", "--engines", "48", "-w", "o").splitlines()
    (artifact,) = manifest(more, alone.root)["assets"]["a.wasm"]["artifacts"]
    assert artifact["file"] == f"a.{TARGET}.wasmtime48.cwasm"
    shutil.rmtree(alone.root / "wheelhouse")
    (line,) = problems(alone, "--extend", "--engines", "48")
    assert line == f"dist/{ANY}: --extend: it has no artifacts to keep"


def test_all_wheels_that_cannot_be_read_are_named(alone: Project):
    (alone.root / "dist/sdist-1.0.tar.gz").write_bytes(b"")
    done = run(alone, "compile", "dist", "missing.whl", "dist/sdist-1.0.tar.gz", f"dist/{ANY}")
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line.removeprefix("hatch-wazcache: ") for line in done.stderr.splitlines()]
    assert [line.partition(":")[0] for line in lines] == [
        "dist", "missing.whl", "dist/sdist-1.0.tar.gz"
    ]  # fmt: skip


# what it says


def test_each_new_wheel_has_its_own_counts_and_the_last_line_has_the_sum(
    alone: Project, wasmtime_cli: Path, tmp_path: Path
):
    words = ("compile", f"dist/{ANY}", "--targets", "native,x86_64-windows,any")
    environment = {"WAZCACHE_DIR": str(tmp_path / "own"), "WAZCACHE_WASMTIME": str(wasmtime_cli)}

    def lines(*more: str) -> list[str]:
        done = run(alone, *words, "-w", *more, **environment)
        assert done.returncode == 0, done.stderr
        return [line for line in done.stderr.splitlines() if " found" in line]

    *made, last = lines("first")
    assert [line.partition(": demo-1.0")[0] for line in made] == [
        "wazcache: 1 compiled, 0 found in the cache",
        "wazcache: 1 compiled, 0 found in the cache",
        "wazcache: 0 compiled, 0 found in the cache",
    ]
    assert last == "wazcache: 2 compiled, 0 found in the cache: 3 wheels"
    *made, last = lines("second")
    found = "wazcache: 0 compiled, 1 found in the cache"
    assert [line.partition(" (")[0] for line in made[:2]] == [found] * 2
    assert last.startswith("wazcache: 0 compiled, 2 found in the cache (")


def test_json_tells_tags_targets_and_engines_of_the_new_wheels(alone: Project):
    found = answer(alone, "compile", f"dist/{ANY}", "--targets", "native,any")
    native, pure = sorted(found["made"], key=lambda wheel: wheel["target"], reverse=True)
    assert [wheel["path"] for wheel in found["made"]] == found["wheels"]
    assert (native["target"], native["artifacts"], native["engines"]) == (TARGET, 2, ["48.0.0"])
    assert native["path"].endswith(f"-{native['tag']}.whl")
    assert native["tag"].startswith("py3-none-")
    assert native["size"] == (alone.root / native["path"]).stat().st_size
    assert (pure["target"], pure["artifacts"], pure["engines"]) == ("any", 0, [])
    assert pure["tag"] == "py3-none-any"


def test_messages_about_a_wheel_name_its_metadata_and_not_a_pyproject(project: Project):
    project.write("pyproject.toml", STOCK.replace("wasmtime>=48,<49", "wasmtime>=48"))
    shutil.rmtree(project.root / "dist")
    assert project.hatchling("-t", "wheel").wheel
    done = run(project, "compile", f"dist/{ANY}", "--targets", "native")
    assert done.returncode == 0, done.stderr
    assert "METADATA: Requires-Dist says wasmtime>=48, which admits" in done.stderr
    assert "pyproject" not in done.stderr
    assert "project.dependencies" not in done.stderr
    done = run(project, "compile", f"dist/{ANY}", "--companion", "demo-wasmtime")
    assert 'add "demo-wasmtime" to the dependencies of its project' in done.stderr


def test_a_wheel_that_does_not_name_wasmtime_is_told_so_by_its_metadata(project: Project):
    project.write("pyproject.toml", STOCK.replace('"wasmtime>=48,<49"', ""))
    shutil.rmtree(project.root / "dist")
    assert project.hatchling("-t", "wheel").wheel
    done = run(project, "compile", f"dist/{ANY}", "--engines", "48", "--targets", "native")
    assert done.returncode == 0, done.stderr
    assert "METADATA: Requires-Dist does not name wasmtime" in done.stderr
    assert "to the dependencies of its project" in done.stderr


def test_a_wheel_for_a_python_that_is_too_old_for_the_loader_is_told_so(project: Project):
    project.write("pyproject.toml", STOCK.replace(">=3.9", ">=3.7"))
    shutil.rmtree(project.root / "dist")
    assert project.hatchling("-t", "wheel").wheel
    done = run(project, "compile", f"dist/{ANY}", "--targets", "native")
    assert 'METADATA: Requires-Python = ">=3.7" admits Python 3.8' in done.stderr
