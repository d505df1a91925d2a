"""`remove` takes one entry out of the cache, or those of a project."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hatch_wazcache.cache.statistics import BuildStatistics, record
from tests.support.commands import answer, artifacts, entries, refused, run, said, tree
from tests.support.projects import Project
from tests.support.wasm import tiny


@pytest.fixture
def other(filled: Project, tmp_path: Path) -> Project:
    """A second project in the same cache: it shares demo/a.wasm, and has an asset of its own."""
    made = Project(tmp_path / "other", filled.cache)
    shutil.copytree(filled.root, made.root)
    (made.root / "demo/sub/b.wasm").write_bytes(tiny("of another project"))
    text = (made.root / "pyproject.toml").read_text("utf-8")
    made.write("pyproject.toml", text.replace('"demo"', '"demo2"', 1))
    made.append("\n[tool.hatch.build.targets.wheel]\npackages = ['demo']\n")
    assert made.build().status == 0
    return made


def test_remove_with_a_key_removes_that_entry_and_no_other(filled: Project):
    doomed, *others = entries(filled)
    about = answer(filled, "remove", doomed.stem[:12])
    assert about["keys"] == [doomed.stem]
    assert entries(filled) == others
    assert run(filled, "remove", others[0].stem).stdout.startswith("1 entry removed, ")
    assert entries(filled) == others[1:]


def test_remove_with_a_project_removes_all_that_only_it_used(filled: Project, other: Project):
    assert len(entries(filled)) == 5
    about = answer(filled, "remove", "demo")
    assert about["removed"] == 2  # demo/sub/b.wasm and its artifact
    assert list(about["shared"].values()) == [["demo2"], ["demo2"]]
    assert "0 compiled, 2 found" in other.build().output
    assert "1 compiled, 1 found" in filled.build().output


def test_remove_says_which_projects_share_what_stays(filled: Project, other: Project):
    lines = said(filled, "remove", "demo2").splitlines()
    assert lines[0].startswith("1 entry removed, ")
    assert lines[1] == "2 entries kept: also used by demo; to remove one, name its key"
    shared = answer(filled, "remove", "demo2")["shared"]
    assert answer(filled, "remove", next(iter(shared)))["removed"] == 1


def test_remove_of_the_only_project_empties_the_cache(filled: Project):
    assert answer(filled, "remove", "demo")["removed"] == 4
    assert entries(filled) == []
    assert answer(filled, "info")["statistics"]["builds"] == 2


def test_a_fetched_wheel_that_only_this_project_used_goes_too(filled: Project):
    folder = filled.cache / "engines" / "wasmtime-47.0.1-x86_64-linux"
    folder.mkdir(parents=True)
    keys = tuple(entry.stem for entry in entries(filled))
    record(filled.cache, BuildStatistics(time.time(), "demo", 0, 0, 0, 0, (*keys, folder.name)))
    assert folder.name in answer(filled, "remove", "demo", "--dry-run")["keys"]
    assert answer(filled, "remove", folder.name)["keys"] == [folder.name]
    assert not folder.exists()
    assert len(entries(filled)) == 4


def test_a_dry_run_of_remove_writes_nothing(filled: Project):
    before = tree(filled.cache)
    lines = said(filled, "remove", "demo", "--dry-run").splitlines()
    assert lines[-1].startswith("4 entries would be removed, ")
    assert sum("demo/a.wasm" in line for line in lines) == 2
    assert tree(filled.cache) == before


@pytest.mark.parametrize("by", ["key", "project"])
def test_remove_keeps_what_a_running_build_has_looked_up(filled: Project, by: str):
    code = (
        "import sys; from pathlib import Path\n"
        "from hatch_wazcache.cache.directory import CacheDirectory\n"
        "from hatch_wazcache.cache.key import SourceKey\n"
        "from hatch_wazcache.formats.wasm import read_wasm\n"
        "cache = CacheDirectory(Path(sys.argv[1]), print)\n"
        "wasm = read_wasm(Path(sys.argv[2]), 'a')\n"
        "print(cache.get(SourceKey(wasm.sha256)).key, flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, filled.cache, filled.root / "demo/a.wasm"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as build:
        key = build.stdout.readline().strip()
        lines = said(filled, "remove", key if by == "key" else "demo").splitlines()
        assert lines[1] == "1 entry kept: in use by a build"
        assert key in [entry.stem for entry in entries(filled)]
        build.stdin.close()
    assert answer(filled, "remove", key)["removed"] == 1


def test_a_word_that_is_neither_names_what_there_is(filled: Project):
    assert refused(filled, "remove", "dmo").endswith("called 'dmo'; did you mean demo?")
    assert refused(filled, "remove", "xyz").endswith("called 'xyz'; the projects are demo")
    assert "no project and no key" in refused(filled, "remove", "")
    said(filled, "clear")
    assert refused(filled, "remove", "xyz").endswith("; the cache is empty")
    assert run(filled, "remove").returncode == 2


def test_a_beginning_of_several_keys_removes_nothing(filled: Project):
    entry = artifacts(filled)[0]
    shutil.copy(entry, entry.with_name(f"{entry.stem[:20]}{'0' * 44}.zip"))
    assert "2 keys begin with" in refused(filled, "remove", entry.stem[:8])
    assert len(entries(filled)) == 5


def test_a_project_that_is_called_like_a_key_removes_nothing(filled: Project):
    entry = artifacts(filled)[0]
    build = BuildStatistics(time.time(), entry.stem[:3], 1, 0, 0.5, 0.0, (entry.stem,))
    record(filled.cache, build)
    assert "is a project, and " in refused(filled, "remove", entry.stem[:3])
    assert len(entries(filled)) == 4
    assert answer(filled, "remove", entry.stem)["removed"] == 1


def test_nothing_is_removed_from_a_folder_that_is_not_our_cache(filled: Project):
    (filled.cache / "CACHEDIR.TAG").unlink()
    assert "has no CACHEDIR.TAG" in refused(filled, "remove", "demo")
    assert len(entries(filled)) == 4
