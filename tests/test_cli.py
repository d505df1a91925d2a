"""The command line, each command run as a process on a cache that real builds have filled."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from conftest import (
    PYPROJECT,
    ROOT,
    TARGET,
    WORK,
    Project,
    environment_with,
    mounted,
    tiny,
    tomllib,
)

from hatch_wazcache import CompilationCache

OTHER = "source-map__mappings.wasm"
LARGER = "dprint-typescript__plugin.wasm"
"""Compiles for seconds."""

QUICK = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(WORK / "pycache"),
}
"""Has Python keep its bytecode: there are hundreds of processes here."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with two assets, built twice."""
    folder = tmp_path_factory.mktemp("cli")
    made = Project(folder / "project", folder / "cache")
    made.write("pyproject.toml", PYPROJECT)
    made.write("demo/__init__.py")
    made.wasm("demo/a.wasm")
    made.wasm("demo/sub/b.wasm", OTHER)
    made.options('assets = ["demo/**/*.wasm"]')
    for _ in range(2):
        assert made.build().status == 0
    shutil.rmtree(made.root / "dist")
    return made


@pytest.fixture
def filled(built: Project, tmp_path: Path) -> Project:
    """A copy of it, with a copy of its cache."""
    shutil.copytree(built.root, tmp_path / "project")
    shutil.copytree(built.cache, tmp_path / "cache")
    return Project(tmp_path / "project", tmp_path / "cache")


def run(project: Project, *words: str | Path, cwd: Path | None = None, **env: str):
    done = subprocess.run(
        [project.python, "-m", "hatch_wazcache", *words],
        cwd=cwd or project.root, env=project.env(**{**QUICK, **env}), text=True,
        encoding="utf-8", capture_output=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def answer(project: Project, *words: str | Path, status: int = 0, **env: str) -> dict:
    """Run a command with --json."""
    done = run(project, *words, "--json", **env)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def said(project: Project, *words: str | Path, status: int = 0, **env: str) -> str:
    """Run a command for people."""
    done = run(project, *words, **env)
    assert done.returncode == status, done.stderr
    return done.stdout


def refused(project: Project, *words: str | Path, **env: str) -> str:
    """Run a command that is an error: one message, and nothing on standard output."""
    done = run(project, *words, **env)
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("hatch-wazcache: ")
    return lines[0]


def entries(project: Project) -> list[Path]:
    return sorted(project.cache.glob("*/*.zip"))


def artifacts(project: Project) -> list[Path]:
    return sorted(project.cache.glob("wasmtime-*/*.zip"))


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def break_(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)


# info


def test_info_says_how_big_and_what_it_saved(filled: Project):
    lines = said(filled, "info").splitlines()
    assert lines[0] == f"cache    {filled.cache}"
    assert re.fullmatch(r"entries  4, [\d.]+ kB of at most 5\.4 GB", lines[1])
    assert re.fullmatch(r"  sources +2  [\d.]+ kB", lines[2])
    assert re.fullmatch(rf"  wasmtime-48\.\d+\.\d+-{TARGET} +2  [\d.]+ kB", lines[3])
    seconds = r"[\d.]+ s"
    counts = rf"2 compiled in {seconds}, 2 found \({seconds} saved\)"
    assert re.fullmatch(rf"builds   2: {counts}", lines[4])
    last = rf"last     demo, (just now|\d min ago): 0 compiled, 2 found \({seconds} saved\)"
    assert re.fullmatch(last, lines[5])
    assert len(lines) == 6


def test_info_for_programs(filled: Project):
    about = answer(filled, "info")
    assert (about["cache"], about["exists"], about["entries"]) == (str(filled.cache), True, 4)
    assert about["size"] == sum(entry.stat().st_blocks * 512 for entry in entries(filled))
    assert about["max_size"] == 5 << 30
    assert [scope["target"] for scope in about["scopes"]] == [None, TARGET]
    statistics = about["statistics"]
    assert (statistics["builds"], statistics["hits"], statistics["misses"]) == (2, 2, 2)
    assert statistics["last"]["project"] == "demo"


def test_info_knows_the_projects_bound(filled: Project):
    filled.append('max-size = "1 GB"\n')
    assert answer(filled, "info")["max_size"] == 10**9
    filled.options('assets = ["demo/*.wasm"]\nmax-size = false')
    assert answer(filled, "info")["max_size"] is None
    assert "at most" not in said(filled, "info")


# list and show


def test_list_names_the_last_used_first(filled: Project):
    oldest = artifacts(filled)[0]
    age(oldest, 3 * 86400)
    lines = said(filled, "list").splitlines()
    assert lines[0].split() == ["KEY", "ENGINE", "TARGET", "WASM", "SIZE", "MADE", "IN", "USED"]
    assert len(lines) == 5
    assert lines[-1].startswith(oldest.stem[:12])
    assert lines[-1].endswith("3 days ago")
    assert [e["key"] for e in answer(filled, "list")["entries"]][-1] == oldest.stem


def test_list_tells_of_settings(filled: Project):
    filled.append("profiles.default.consume-fuel = true\n")
    said(filled, "warm")
    assert "consume-fuel=true" in said(filled, "list")


def test_list_shows_broken_entries(filled: Project):
    broken = entries(filled)[0]
    broken.write_bytes(b"nothing")
    (line,) = (line for line in said(filled, "list").splitlines() if " broken " in line)
    assert line.startswith(broken.stem[:12])
    (about,) = (e for e in answer(filled, "list")["entries"] if e["problem"])
    assert about["key"] == broken.stem


def test_show_tells_all_inputs(filled: Project):
    entry = artifacts(filled)[0]
    shown = dict(line.split(None, 1) for line in said(filled, "show", entry.stem).splitlines())
    assert shown["key"] == entry.stem
    assert shown["path"] == str(entry)
    assert shown["target"] == TARGET
    assert shown["cpu"] == "baseline"
    assert shown["cpu-flags"] == "none"
    assert re.fullmatch(r"[0-9a-f]{64}", shown["wasm"])
    assert "by 2 x demo" in shown["used"]
    about = answer(filled, "show", entry.stem)
    assert {"wasm", "engine", "target", "triple", "cpu", "cpu-flags", "settings"} < set(
        about["inputs"]
    )
    assert about["builds"] == {"demo": 2}


def test_a_key_may_be_abbreviated(filled: Project):
    keys = [entry.stem for entry in entries(filled)]
    for key in keys:
        short = next(key[:n] for n in range(1, 65) if sum(k.startswith(key[:n]) for k in keys) == 1)
        assert answer(filled, "show", short)["key"] == key
    assert answer(filled, "show", keys[0].upper())["key"] == keys[0]


def test_an_ambiguous_or_unknown_key_names_the_candidates(filled: Project):
    entry = entries(filled)[0]
    twin = entry.with_name(f"{entry.stem[:20]}{'0' * 44}.zip")
    shutil.copy(entry, twin)
    message = refused(filled, "show", entry.stem[:4])
    assert "2 keys begin with" in message
    assert entry.stem[:21] in message
    assert twin.stem[:21] in message
    message = refused(filled, "show", "xyz")
    assert "no key begins with 'xyz'" in message
    assert all(entry.stem[:12] in message for entry in entries(filled))
    assert "no key begins with ''" in refused(filled, "show", "")


def test_show_of_a_broken_entry(filled: Project):
    broken = entries(filled)[0]
    broken.write_bytes(b"nothing")
    assert "broken" in said(filled, "show", broken.stem, status=3)
    assert "is not an entry" in answer(filled, "show", broken.stem, status=3)["problem"]


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
    assert "  cpu: x86-64-v3 here, baseline there" in lines
    assert "  settings.consume-fuel: true here, not set there" in lines
    assert any(re.fullmatch(r"  cpu-flags: has_.* here, none there", line) for line in lines)
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
    assert re.search(r"  wasm: \w{12} here, \w{12} there\n$", said(filled, "why", "a.wasm"))


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
    assert "there is nothing like it" in said(filled, "why", "a.wasm")
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
    assert "wazcache: demo/a.wasm: compiled in" in done.stderr
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
        "hatch-wazcache: the cache does not keep what was compiled, so nothing is warm"
    )


# verify


def test_verify_finds_nothing_in_a_sound_cache(filled: Project):
    assert re.fullmatch(r"4 entries checked, [\d.]+ kB: 0 broken\n", said(filled, "verify"))
    about = answer(filled, "verify")
    assert (about["checked"], about["broken"]) == (4, [])


def test_verify_names_what_is_broken(filled: Project):
    broken = artifacts(filled)[0]
    break_(broken)
    lines = said(filled, "verify", status=3).splitlines()
    assert lines[0] == f"{broken} has been changed since it was written"
    assert lines[1].endswith(": 1 broken")
    assert answer(filled, "verify", status=3)["broken"][0]["removed"] is False


def test_repair_removes_what_is_broken_and_nothing_else(filled: Project):
    broken, *others = entries(filled)
    break_(broken)
    about = answer(filled, "verify", "--repair")
    assert [entry["removed"] for entry in about["broken"]] == [True]
    assert entries(filled) == others
    assert "0 broken" in said(filled, "verify")


def test_what_cannot_be_repaired_stays_an_error(filled: Project):
    broken = entries(filled)[0]
    broken.unlink()
    broken.mkdir()
    (broken / "somebody's").touch()
    assert "1 broken, 0 removed" in said(filled, "verify", "--repair", status=3)


# prune and clear


def test_prune_keeps_a_cache_that_is_within_bounds(filled: Project):
    assert said(filled, "prune") == "0 entries removed, 0 B freed\n"
    assert len(entries(filled)) == 4


def test_prune_without_options_keeps_the_projects_max_size(filled: Project):
    oldest = artifacts(filled)[0]
    age(oldest, 1000)
    size = sum(entry.stat().st_blocks * 512 for entry in entries(filled))
    filled.append(f"max-size = {size - 1}\n")
    assert answer(filled, "prune")["keys"] == [oldest.stem]
    assert oldest not in entries(filled)


def test_prune_to_a_size(filled: Project):
    about = answer(filled, "prune", "--max-size", "0")
    assert (about["removed"], about["in_use"], about["failed"]) == (4, 0, 0)
    assert entries(filled) == []


def test_prune_what_is_old(filled: Project):
    first, second, *rest = entries(filled)
    age(first, 31 * 86400)
    age(second, 13 * 3600)
    assert answer(filled, "prune", "--older-than", "2w", "--dry-run")["keys"] == [first.stem]
    about = answer(filled, "prune", "--older-than", "12h")
    assert about["keys"] == [first.stem, second.stem]
    assert entries(filled) == rest


def test_prune_an_engine(filled: Project):
    version = artifacts(filled)[0].parent.name.split("-")[1]
    for other in ("4", "47", f"{version}.1", f"{version}0"):
        assert answer(filled, "prune", "--engine", other)["removed"] == 0
    assert answer(filled, "prune", "--engine", "48", "--dry-run")["removed"] == 2
    assert answer(filled, "prune", "--engine", f"47.0.1, {version}")["removed"] == 2
    assert len(entries(filled)) == 2
    assert artifacts(filled) == []


def test_prune_unused_keeps_what_a_known_build_used(filled: Project):
    (filled.root / "demo/sub/b.wasm").unlink()
    assert filled.build().status == 0
    assert answer(filled, "prune", "--unused")["removed"] == 0
    *earlier, _last = sorted((filled.cache / "builds").iterdir())
    for record in earlier:
        record.unlink()
    assert answer(filled, "prune", "--unused")["removed"] == 2


def test_prune_for_ci_keeps_what_the_last_build_used(filled: Project):
    (filled.root / "demo/sub/b.wasm").unlink()
    assert filled.build().status == 0
    assert answer(filled, "prune", "--ci", "--dry-run")["removed"] == 2
    assert answer(filled, "prune", "--ci")["removed"] == 2
    assert "1 found in the cache" in filled.build().output


def test_prune_for_ci_keeps_what_the_last_build_of_every_project_and_target_used(
    filled: Project, tmp_path: Path
):
    other = Project(tmp_path / "other", filled.cache)
    shutil.copytree(filled.root, other.root)
    (other.root / "demo/sub/b.wasm").write_bytes(tiny("of another project"))
    text = (other.root / "pyproject.toml").read_text("utf-8")
    other.write(
        "pyproject.toml",
        text.replace('"demo"', '"demo2"', 1) + "profiles.default.epoch-interruption = true",
    )
    other.append("\n[tool.hatch.build.targets.wheel]\npackages = ['demo']\n")
    assert other.build().status == 0
    assert filled.build(WAZCACHE_TARGET="any").status == 0
    with CompilationCache.in_directory(filled.cache) as cache:
        cache.load_module(tiny("of a process"))
    assert answer(filled, "prune", "--ci")["removed"] == 1
    for project in (other, filled):
        assert "0 compiled, 2 found" in project.build().output


def test_what_is_used_must_be_known(filled: Project):
    shutil.rmtree(filled.cache / "builds")
    for option in ("--ci", "--unused"):
        assert "has no build on record" in refused(filled, "prune", option)
    assert len(entries(filled)) == 4
    said(filled, "clear")
    assert answer(filled, "prune", "--ci")["removed"] == 0


def test_options_of_prune_add_up(filled: Project):
    (source, *_) = sorted(filled.cache.glob("sources/*.zip"))
    age(source, 7200)
    about = answer(filled, "prune", "--older-than", "1h", "--engine", "48")
    assert about["removed"] == 3


def test_a_dry_run_removes_nothing(filled: Project):
    before = sorted(filled.cache.rglob("*"))
    for words in (("prune", "--max-size", "0"), ("clear",)):
        *lines, last = said(filled, *words, "--dry-run").splitlines()
        assert last.startswith("4 entries would be removed, ")
        assert sorted(line[:12] for line in lines) == sorted(e.stem[:12] for e in entries(filled))
    assert answer(filled, "clear", "--dry-run")["dry_run"] is True
    assert sorted(filled.cache.rglob("*")) == before
    assert answer(filled, "info")["statistics"]["builds"] == 2


def test_clear_removes_entries_and_statistics(filled: Project):
    (filled.cache / "sources" / "mine.txt").touch()
    assert re.fullmatch(r"4 entries removed, [\d.]+ kB freed\n", said(filled, "clear"))
    about = answer(filled, "info")
    assert (about["entries"], about["statistics"]["builds"]) == (0, 0)
    assert (filled.cache / "sources" / "mine.txt").exists()


def test_clear_removes_empty_files_too(filled: Project):
    for entry in entries(filled):
        entry.write_bytes(b"")
    assert answer(filled, "clear")["removed"] == 4
    assert entries(filled) == []


def test_what_a_running_build_uses_stays(filled: Project):
    code = (
        "import sys; from pathlib import Path\n"
        "from hatch_wazcache.cache.directory import CacheDirectory\n"
        "from hatch_wazcache.cache.key import SourceKey\n"
        "from hatch_wazcache.wasm import read_wasm\n"
        "cache = CacheDirectory(Path(sys.argv[1]), print)\n"
        "wasm = read_wasm(Path(sys.argv[2]), 'a')\n"
        "assert cache.get(SourceKey(wasm.sha256))\n"
        "print('holds', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, filled.cache, filled.root / "demo/a.wasm"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout.readline() == "holds\n"
        lines = said(filled, "clear").splitlines()
        assert lines[0].startswith("3 entries removed")
        assert lines[1] == "1 entry kept: in use by a build"
        build.stdin.close()
    assert answer(filled, "clear")["removed"] == 1


@as_root
def test_what_cannot_be_removed_is_an_error(filled: Project):
    mount = ["mount", "--bind", str(filled.cache), str(filled.cache)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        remount = ["mount", "-o", "remount,bind,ro", str(filled.cache)]
        subprocess.run(remount, check=True, capture_output=True)
        for words in (["info"], ["list"], ["verify"], ["why", "a.wasm"], ["warm"]):
            assert answer(filled, *words)
        done = run(filled, "clear")
    finally:
        subprocess.run(["umount", str(filled.cache)], check=True)
    assert done.returncode == 1
    assert done.stdout == "0 entries removed, 0 B freed\n"
    assert "4 entries could not be removed" in done.stderr


# where the cache is

COMMANDS = (
    ["info"], ["list"], ["why", "a.wasm"], ["verify"], ["prune"], ["prune", "--ci"],
    ["prune", "--unused", "--dry-run"], ["clear"], ["dir"],
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_asking_makes_no_cache(filled: Project, words: list[str]):
    shutil.rmtree(filled.cache)
    assert answer(filled, *words)["cache"] == str(filled.cache)
    assert not filled.cache.exists()


def test_a_missing_cache_is_said_to_be_missing(filled: Project):
    shutil.rmtree(filled.cache)
    assert "(not made yet)" in said(filled, "info")
    assert said(filled, "list") == "the cache is empty\n"
    assert "the cache is empty" in refused(filled, "show", "abc")


@pytest.mark.parametrize("words", [*COMMANDS[:-1], ["warm"]], ids=" ".join)
def test_a_cache_that_others_can_write_is_refused(filled: Project, words: list[str]):
    filled.cache.chmod(0o777)
    assert "can be written by others" in refused(filled, *words)
    assert len(entries(filled)) == 4


@as_root
def test_a_cache_of_another_user_is_refused(filled: Project):
    os.chown(filled.cache, 1234, 1234)
    assert "belongs to another user" in refused(filled, "clear")
    assert len(entries(filled)) == 4


def test_a_cache_that_is_a_file_is_refused(filled: Project, tmp_path: Path):
    (tmp_path / "file").touch()
    message = refused(filled, "info", "--cache-dir", tmp_path / "file")
    assert f"{tmp_path / 'file'} is not a directory" in message


def test_the_option_is_stronger_than_the_variable_and_that_than_the_project(
    filled: Project, tmp_path: Path
):
    filled.append('cache-dir = "build/cache"\n')
    project = filled.root / "build" / "cache"
    assert said(filled, "dir", WAZCACHE_DIR="") == f"{project}\n"
    assert said(filled, "dir") == f"{filled.cache}\n"
    assert said(filled, "dir", "--cache-dir", "here") == f"{filled.root / 'here'}\n"
    assert said(filled, "--cache-dir", "here", "dir") == f"{filled.root / 'here'}\n"
    elsewhere = run(filled, "dir", cwd=tmp_path, WAZCACHE_DIR="").stdout.strip()
    assert elsewhere != str(project)
    assert Path(elsewhere).name == "wazcache"


def test_a_relative_variable_is_what_a_build_makes_of_it(filled: Project, tmp_path: Path):
    folder = filled.root / "demo"
    assert run(filled, "dir", cwd=folder, WAZCACHE_DIR="x").stdout == f"{filled.root / 'x'}\n"
    assert run(filled, "dir", cwd=tmp_path, WAZCACHE_DIR="x").stdout == f"{tmp_path / 'x'}\n"


def test_warm_takes_the_option_too(filled: Project, tmp_path: Path):
    said(filled, "warm", "--cache-dir", tmp_path / "another")
    assert list((tmp_path / "another").glob("wasmtime-*/*.zip"))


# which project


def test_the_project_is_found_from_below(filled: Project):
    done = run(filled, "why", "a.wasm", cwd=filled.root / "demo" / "sub")
    assert done.stdout.startswith("demo/a.wasm: hit")


def test_a_project_without_the_hook_is_passed_over(filled: Project):
    filled.write("tools/pyproject.toml", "[project]\nname = 'tools'\nversion = '1'\n")
    done = run(filled, "why", "a.wasm", cwd=filled.root / "tools")
    assert done.stdout.startswith("demo/a.wasm: hit")


def test_the_project_can_be_named(filled: Project, tmp_path: Path):
    for words in (("why", "a.wasm", "-p", "project"), ("--project", filled.root, "warm")):
        done = run(filled, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_a_project_is_needed(filled: Project, tmp_path: Path):
    for words in (["warm"], ["why", "a.wasm"]):
        done = run(filled, *words, cwd=tmp_path)
        assert done.returncode == 1
        assert "no pyproject.toml with the build hook wazcache" in done.stderr
    assert "there is no pyproject.toml" in refused(filled, "warm", "-p", tmp_path)
    filled.write("other/pyproject.toml", "[project]\nname = 'other'\nversion = '1'\n")
    assert "has no build hook wazcache" in refused(filled, "warm", "-p", filled.root / "other")


@pytest.mark.parametrize("words", [("warm",), ("why", "a.wasm")])
def test_the_engine_of_this_environment_is_needed(filled: Project, words: tuple[str, ...]):
    filled.python = environment_with("")
    assert "wasmtime is not installed in this environment; install the one" in refused(
        filled, *words
    )
    filled.python = environment_with("36.0.0")
    assert "wasmtime 36.0.0 is installed in this environment, but" in refused(filled, *words)


def test_a_wrong_configuration_is_one_message(filled: Project):
    filled.append("compresion = 3\n")
    assert "there is no such option" in refused(filled, "warm")
    filled.write("pyproject.toml", "[project\n")
    assert f"{filled.root / 'pyproject.toml'}: " in refused(filled, "warm")
    filled.write("pyproject.toml", PYPROJECT.replace('version = "1.0"', ""))
    assert f"{filled.root / 'pyproject.toml'}: " in refused(filled, "warm")
    filled.write("pyproject.toml", PYPROJECT.replace('name = "demo"', "name = 3"))
    assert f"{filled.root / 'pyproject.toml'}: " in refused(filled, "why", "a.wasm")


def test_a_plugin_that_is_not_installed_is_one_message(filled: Project):
    """Whoever only asks can do without; hatch itself would install what build-system requires."""
    filled.append("[tool.hatch.build.hooks.unknown]\n")
    assert "demo/a.wasm: hit" in said(filled, "why", "a.wasm")
    assert "Unknown build hook: unknown" in refused(filled, "warm")
    text = PYPROJECT.replace('version = "1.0"', 'dynamic = ["version"]')
    filled.write("pyproject.toml", f"{text}[tool.hatch.version]\nsource = 'unknown'\n")
    assert "demo/a.wasm: hit" in said(filled, "why", "a.wasm")
    assert "Unknown version source: unknown" in refused(filled, "warm")


# the shell


def test_the_script_is_declared():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = table["scripts"]["hatch-wazcache"].partition(":")
    assert getattr(import_module(module), name)
    assert [line.partition(">")[0] for line in table["optional-dependencies"]["cli"]] == ["rich"]


@pytest.mark.parametrize(
    "words",
    [
        [], ["nonsense"], ["show"], ["prune", "--older-than", "3"], ["prune", "--max-size", "much"],
        ["prune", "--max-size", "9" * 400], ["prune", "--engine", "new"], ["prune", "--engine", ""],
        ["info", "--repair"], ["clear", "--cache-dir", ""],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage(filled: Project, words: list[str]):
    done = run(filled, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: hatch-wazcache")
    assert len(entries(filled)) == 4


def test_help_documents_the_exit_statuses(filled: Project):
    for words in (["--help"], ["prune", "--help"]):
        text = said(filled, *words)
        for status in (0, 1, 2, 3, 130):
            assert re.search(rf"^  {status} ", text, re.MULTILINE)
    assert re.fullmatch(r"hatch-wazcache [\d.]+\n", said(filled, "--version"))


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(filled: Project, words: list[str]):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [filled.python, "-m", "hatch_wazcache", *words],
        cwd=filled.root, env=filled.env(), stdout=writer, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == b""
    # Unbuffered, argparse itself passes over what it cannot write.
    assert done.returncode == 141 or (words == ["--help"] and done.returncode == 0)


def test_a_full_disk_behind_standard_output_is_one_message(filled: Project):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [filled.python, "-m", "hatch_wazcache", "info"],
            cwd=filled.root, env=filled.env(), stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b"hatch-wazcache: No space left on device\n"


def test_an_interrupt_ends_quietly_and_leaves_nothing(filled: Project):
    filled.wasm("demo/large.wasm", LARGER)
    with subprocess.Popen(
        [filled.python, "-m", "hatch_wazcache", "warm"],
        cwd=filled.root, env=filled.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
        # A shell has its background jobs ignore it, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:  # fmt: skip
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert "compiling for" in first
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert output == ""
    assert list((filled.cache / "tmp").iterdir()) == []


def test_a_path_that_is_not_of_the_terminals_encoding(filled: Project, tmp_path: Path):
    odd = tmp_path / "größe-\udcff"
    for locale in ("C.UTF-8", "C"):
        done = run(filled, "info", "--cache-dir", odd, LC_ALL=locale, PYTHONUTF8="0")
        assert done.returncode == 0, done.stderr
    assert answer(filled, "dir", "--cache-dir", odd)["cache"] == str(odd)


def on_a_terminal(project: Project, *words: str, code: str = "") -> str:
    """Run a command as a person does, and return all that the terminal got."""
    terminal, inside = pty.openpty()
    code = f"{code}\nimport sys; from hatch_wazcache.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [project.python, "-c", code, *words],
        cwd=project.root, env=project.env(TERM="xterm", COLUMNS="100"),
        stdin=inside, stdout=inside, stderr=inside,
    )  # fmt: skip
    os.close(inside)
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:
        pass  # Linux says so at the end
    os.close(terminal)
    assert process.wait() == 0, shown
    return shown.decode()


def test_a_terminal_shows_what_goes_on(filled: Project):
    shutil.rmtree(filled.cache)
    shown = on_a_terminal(filled, "warm")
    assert "\x1b[" in shown
    assert "demo/a.wasm: compiling for" in shown
    assert "wazcache: demo/a.wasm: compiled in" in shown
    assert "2 compiled, 0 found in the cache" in shown
    shown = on_a_terminal(filled, "verify")
    assert "100 %" in shown
    assert "4 entries checked" in shown


def test_a_terminal_without_rich_gets_plain_lines(filled: Project):
    shutil.rmtree(filled.cache)
    shown = on_a_terminal(filled, "warm", code="import sys; sys.modules['rich'] = None")
    assert "\x1b" not in shown
    assert "wazcache: demo/a.wasm: compiling for" in shown
    assert "0 broken" in on_a_terminal(filled, "verify")


def test_a_label_is_no_markup(filled: Project):
    filled.write("demo/[bold]x.wasm", tiny("markup"))
    assert "demo/[bold]x.wasm: compiling for" in on_a_terminal(filled, "warm")


def test_the_commands_need_no_wasmtime(filled: Project):
    """Looking into a cache is for any environment; only what compiles needs the engine."""
    code = "import sys; sys.modules['wasmtime'] = None"
    assert "4 entries checked" in on_a_terminal(filled, "verify", code=code)


def test_what_many_builds_used_stays_known(filled: Project):
    from hatch_wazcache.cache import records

    before = answer(filled, "info")["statistics"]
    known = records.records(filled.cache)[0].keys
    for number in range(120):
        build = records.BuildRecord(time.time() + number, "demo", 1, 0, 0.5, 0.0, known)
        records.record(filled.cache, build)
    assert 50 <= len(records.records(filled.cache)) <= 101
    after = answer(filled, "info")["statistics"]
    assert after["builds"] == before["builds"] + 120
    assert answer(filled, "prune", "--unused")["removed"] == 0
