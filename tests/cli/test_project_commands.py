"""`why`, `warm` and `install`: the commands that need a project."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.commands import OTHER, answer, artifacts, break_, entries, refused, run, said
from tests.support.disks import mounted
from tests.support.marks import as_root
from tests.support.projects import Project, SetuptoolsProject
from tests.support.refusals import needs_linux, powerless
from tests.support.wasm import tiny
from tests.support.wheels import TARGET, precompiled

# why


def test_why_a_hit(filled: Project):
    before = {entry: entry.stat().st_mtime_ns for entry in entries(filled)}
    assert re.fullmatch(
        r"demo/a\.wasm: hit: [0-9a-f]{12}, [\d.]+ kB, saves [\d.]+ s, used .*\n",
        said(filled, "why", "demo/a.wasm"),
    )
    (artifact,) = answer(filled, "why", "demo/a.wasm")["artifacts"]
    assert artifact["hit"] is True
    assert artifact["key"] in {entry.stem for entry in artifacts(filled)}
    assert before == {entry: entry.stat().st_mtime_ns for entry in entries(filled)}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (".", "demo/sub/b.wasm"), (".", "b.wasm"), (".", "sub/b.wasm"), ("demo", "sub/b.wasm"),
        ("demo/sub", "b.wasm"), ("demo/sub", "./b.wasm"), ("demo", "demo/sub/b.wasm"),
    ],
)  # fmt: skip
def test_an_asset_is_named_as_people_do(filled: Project, folder: str, name: str):
    done = run(filled, "why", name, cwd=filled.root / folder)
    assert done.stdout.startswith("demo/sub/b.wasm: hit"), done.stderr


def test_an_unknown_or_ambiguous_asset_names_the_candidates(filled: Project):
    assert "the project has demo/a.wasm, demo/sub/b.wasm" in refused(filled, "why", "c.wasm")
    filled.wasm("demo/more/b.wasm")
    message = refused(filled, "why", "b.wasm")
    assert "2 assets are called 'b.wasm'" in message
    assert "demo/more/b.wasm, demo/sub/b.wasm" in message


def test_why_a_changed_setting_is_a_miss(filled: Project):
    filled.append('cpu = "x86-64-v3"\nprofiles.default.consume-fuel = true\n')
    lines = said(filled, "why", "a.wasm").splitlines()
    assert re.fullmatch(
        r"demo/a\.wasm \(x86-64-v3\): miss: \w{12}; the nearest entry, \w{12}, differs in", lines[0]
    )
    assert "  cpu: x86-64-v3 in the project, baseline in the entry" in lines
    assert "  settings.consume-fuel: true in the project, not set in the entry" in lines
    assert any(
        re.fullmatch(r"  cpu-flags: has_.* in the project, none in the entry", line)
        for line in lines
    )
    assert len(lines) == 4
    (artifact,) = answer(filled, "why", "a.wasm")["artifacts"]
    assert artifact["hit"] is False
    assert {"input": "cpu", "here": "x86-64-v3", "there": "baseline"} in artifact["nearest"][
        "differences"
    ]


def test_why_a_changed_wasm_is_a_miss(filled: Project):
    filled.write("demo/a.wasm", tiny("changed"))
    (artifact,) = answer(filled, "why", "a.wasm")["artifacts"]
    assert [d["input"] for d in artifact["nearest"]["differences"]] == ["wasm"]
    assert re.search(
        r"  wasm: \w{12} in the project, \w{12} in the entry\n$", said(filled, "why", "a.wasm")
    )


def test_the_nearest_entry_is_of_the_same_wasm(filled: Project):
    filled.append("profiles.default.consume-fuel = true\n")
    filled.wasm("demo/c.wasm", "chainsafe-as-sha256__optimized.wasm")
    said(filled, "warm")
    filled.append("profiles.default.epoch-interruption = true\n")
    filled.wasm("demo/new.wasm", OTHER)
    differences = answer(filled, "why", "new.wasm")["artifacts"][0]["nearest"]["differences"]
    assert [d["input"] for d in differences] == ["settings.epoch-interruption"]


def test_why_in_an_empty_cache(filled: Project):
    shutil.rmtree(filled.cache)
    assert "the cache has no similar entry" in said(filled, "why", "a.wasm")
    assert answer(filled, "why", "a.wasm")["artifacts"][0]["nearest"] is None
    assert not filled.cache.exists()


def test_why_a_broken_entry_is_a_miss(filled: Project):
    for entry in artifacts(filled):
        break_(entry)
    assert "miss: the entry is broken: " in said(filled, "why", "a.wasm")
    assert "has been changed" in answer(filled, "why", "a.wasm")["artifacts"][0]["problem"]


def test_why_answers_for_each_profile(filled: Project):
    filled.append("profiles.default = {}\nprofiles.fuel = {consume-fuel = true}\n")
    first, second, _difference = said(filled, "why", "a.wasm").splitlines()
    assert first.startswith("demo/a.wasm (profile default): hit")
    assert second.startswith("demo/a.wasm (profile fuel): miss")


# warm


def test_warm_makes_the_entries_of_a_build_and_nothing_else(filled: Project):
    shutil.rmtree(filled.cache)
    before = filled.tree()
    done = run(filled, "warm")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"2 compiled, 0 found in the cache: {filled.cache}\n", done.stdout)
    assert "wazcache: demo/a.wasm: compiling for" in done.stderr
    assert "wazcache: demo/a.wasm: compiled for" in done.stderr
    assert filled.tree() == before
    assert not (filled.root / "dist").exists()
    assert "0 compiled, 2 found in the cache" in filled.build().output


def test_warm_counts_as_a_build(filled: Project):
    about = answer(filled, "warm")
    assert (about["compiled"], about["found"], about["cache"]) == (0, 2, str(filled.cache))
    statistics = answer(filled, "info")["statistics"]
    assert (statistics["builds"], statistics["hits"]) == (3, 4)


def test_warm_runs_other_hooks_and_keeps_their_words_apart(filled: Project):
    filled.write(
        "hatch_build.py",
        "import subprocess, sys\nfrom pathlib import Path\n"
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        "        print('made by a hook')\n"
        "        subprocess.run(['echo', 'and its program'], check=True)\n"
        f"        Path('demo/made.wasm').write_bytes({tiny('made')!r})\n",
    )
    text = (filled.root / "pyproject.toml").read_text("utf-8")
    head, table = text.split("[tool.hatch.build.hooks.wazcache]")
    filled.write(
        "pyproject.toml",
        f"{head}[tool.hatch.build.hooks.custom]\n[tool.hatch.build.hooks.wazcache]{table}",
    )
    done = run(filled, "warm", "--json", cwd=filled.root / "demo")
    assert json.loads(done.stdout)["compiled"] == 1
    assert "made by a hook" in done.stderr
    assert "and its program" in done.stderr
    assert "demo/made.wasm: hit" in said(filled, "why", "made.wasm")


def test_warm_of_what_cannot_be_compiled(filled: Project):
    filled.write("demo/a.wasm", b"no wasm")
    assert "demo/a.wasm: not WebAssembly" in refused(filled, "warm")


@as_root
def test_warm_of_a_cache_that_keeps_nothing_is_an_error(filled: Project):
    shutil.rmtree(filled.cache)
    with mounted(filled.cache, "size=8k"):
        done = run(filled, "warm")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == (
        "hatch-wazcache: the cache could not store the artifacts, so the next build compiles them "
        "again"
    )


# install


def test_install_brings_an_editable_install_up_to_date(filled: Project):
    before = set(filled.tree())
    assert filled.editable().status == 0
    installed = set(filled.tree()) - {path for path in filled.tree() if path.startswith("dist/")}
    filled.write("demo/a.wasm", tiny("changed"))
    (filled.root / "demo/sub/b.wasm").unlink()
    done = run(filled, "install", cwd=filled.root / "demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"1 compiled, 0 found in the cache: beside the .wasm files of {filled.root}\n"
    )
    assert precompiled(filled.root) == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}
    after = set(filled.tree()) - {path for path in filled.tree() if path.startswith("dist/")}
    assert installed - after == {"demo/sub/b.wasm", f"demo/sub/b.{TARGET}.cwasm"}
    assert after - before == installed - before - {f"demo/sub/b.{TARGET}.cwasm"}


def test_install_of_a_setuptools_project_writes_beside_the_sources(tmp_path: Path):
    project = SetuptoolsProject(tmp_path / "project", tmp_path / "cache")
    project.write("pyproject.toml", project.pyproject)
    project.write("demo/__init__.py")
    project.wasm("demo/a.wasm")
    before = set(project.tree())
    about = answer(project, "install")
    assert (about["compiled"], about["project"]) == (1, str(project.root))
    assert set(project.tree()) - before == {
        "demo/_wazcache.json", "demo/_wazcache.py", f"demo/a.{TARGET}.cwasm"
    }  # fmt: skip
    assert precompiled(project.root) == {"demo/a.wasm": f"demo/a.{TARGET}.cwasm"}


@needs_linux
def test_install_into_a_tree_that_cannot_be_written_is_an_error(filled: Project, tmp_path: Path):
    filled.python = powerless(tmp_path)
    (filled.root / "demo").chmod(0o555)
    assert "cannot be written: Permission denied" in refused(filled, "install")


@pytest.mark.parametrize("command", ["info", "prune", "warm", "install"])
@pytest.mark.parametrize("value", ["dependencies = 1", "dependencies = [2]"])
def test_wrong_dependencies_are_one_message_of_every_command(
    project: Project, command: str, value: str
):
    pyproject = project.root / "pyproject.toml"
    text = re.sub(r"dependencies = .*", value, pyproject.read_text(), count=1)
    pyproject.write_text(text)
    assert f"{pyproject}: " in refused(project, command)
