"""`info`, `list`, `show`, `verify`, `prune`, `clear`, on a cache that real builds have filled."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hatch_wazcache import CompilationCache
from hatch_wazcache.cache import statistics
from hatch_wazcache.cache.entry import write_entry
from hatch_wazcache.cache.key import digest_of
from hatch_wazcache.cache.statistics import BuildStatistics
from tests.support.commands import answer, artifacts, break_, entries, refused, run, said, tree
from tests.support.marks import NO_MOUNT, as_root
from tests.support.projects import Project
from tests.support.wasm import tiny
from tests.support.wheels import TARGET


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


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
    assert lines[6] == "hits     2 of 4, 50 %"
    assert len(lines) == 7


def test_info_for_programs(filled: Project):
    about = answer(filled, "info")
    assert (about["cache"], about["exists"], about["entries"]) == (str(filled.cache), True, 4)
    assert about["size"] == sum(entry.stat().st_blocks * 512 for entry in entries(filled))
    assert about["max_size"] == 5 << 30
    assert [scope["target"] for scope in about["scopes"]] == [None, TARGET]
    totals = about["statistics"]
    assert (totals["builds"], totals["hits"], totals["misses"]) == (2, 2, 2)
    assert totals["last"]["project"] == "demo"
    assert about["hit_rate"] == 0.5


def test_the_hit_rate_is_100_percent_only_without_a_miss(filled: Project):
    for number in range(1500):
        build = BuildStatistics(time.time() + number, "demo", 10, 0, 0.5, 0.0)
        if number % 100 == 0:
            statistics.record(filled.cache, replace(build, hits=100_000))
    assert said(filled, "info").splitlines()[6].endswith(", 99.9 %")
    said(filled, "clear")
    statistics.record(filled.cache, build)
    assert said(filled, "info").splitlines()[-1] == "hits     10 of 10, 100 %"
    said(filled, "clear")
    assert "hits" not in said(filled, "info")
    assert answer(filled, "info")["hit_rate"] is None


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
    head = ["KEY", "ENGINE", "TARGET", "WASM", "PROJECT", "SIZE", "MADE", "IN", "USED"]
    assert lines[0].split() == head
    assert len(lines) == 5
    assert lines[-1].startswith(oldest.stem[:12])
    assert lines[-1].endswith("3 days ago")
    assert [e["key"] for e in answer(filled, "list")["entries"]][-1] == oldest.stem


def test_list_and_show_name_the_files_and_projects_of_an_entry(filled: Project):
    _head, *lines = said(filled, "list").splitlines()
    assert sorted(line.split()[3] for line in lines) == sorted(
        ["demo/a.wasm", "demo/sub/b.wasm"] * 2
    )
    assert [line.split()[4] for line in lines] == ["demo"] * 4
    for entry in answer(filled, "list")["entries"]:
        (file,) = entry["files"]
        assert (filled.root / file).is_file()
        assert entry["builds"] == {"demo": 2}
        shown = said(filled, "show", entry["key"])
        assert re.search(rf"^file +{re.escape(file)}$", shown, re.MULTILINE)


def test_an_entry_of_several_files_and_projects_counts_them(filled: Project):
    shutil.copy(filled.root / "demo/a.wasm", filled.root / "demo/sub/copy.wasm")
    pyproject = filled.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"demo"', '"demo2"', 1))
    filled.append("\n[tool.hatch.build.targets.wheel]\npackages = ['demo']\n")
    said(filled, "warm")
    (filled.root / "demo/a.wasm").unlink()
    said(filled, "warm")
    shown = said(filled, "list")
    assert "demo/sub/copy.wasm and 1 more" in shown
    assert re.search(r"demo\w? and 1 more", shown)
    (entry,) = (
        e for e in answer(filled, "list")["entries"] if len(e["files"]) == 2 and e["engine"]
    )
    assert entry["files"] == ["demo/sub/copy.wasm", "demo/a.wasm"]
    assert entry["builds"] == {"demo": 2, "demo2": 2}


def test_an_entry_that_no_known_build_used_shows_its_digest(filled: Project):
    shutil.rmtree(filled.cache / "builds")
    digests = {
        hashlib.sha256(file.read_bytes()).hexdigest() for file in filled.root.rglob("*.wasm")
    }
    _head, *lines = said(filled, "list").splitlines()
    assert {line.split()[3] for line in lines} == {digest[:12] for digest in digests}
    assert {line.split()[4] for line in lines} == {"-"}


def test_damaged_statistics_are_passed_over(filled: Project):
    for number, files in enumerate(('["a"]', '"x"', "3", '{"k": []}', "null")):
        text = (
            f'{{"time": {time.time()}, "project": "odd", "hits": 1, "misses": 0, '
            f'"seconds_saved": 0, "seconds_compiled": 0, "keys": ["k"], "files": {files}}}'
        )
        (filled.cache / "builds" / f"9{number}-ab.json").write_text(text)
    assert len(answer(filled, "list")["entries"]) == 4
    assert "demo/a.wasm" in said(filled, "list")


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


@pytest.mark.parametrize(
    "inputs",
    [
        {"engine": [], "x": "y"},
        {"engine": "48.0.0"},
        {"engine": 3, "wasm": 3, "cpu": [1], "settings": "x", "strip": 7},
    ],
)
def test_odd_inputs_of_an_entry_end_in_no_traceback(filled: Project, inputs: dict[str, object]):
    key = digest_of(inputs)
    path = artifacts(filled)[0].with_name(f"{key}.zip")
    with path.open("wb") as file:
        write_entry(file, key, inputs, "artifact.cwasm", b"data", 1.0)
    for words in (["list"], ["show", key], ["why", "a.wasm"], ["clear", "--dry-run"]):
        said(filled, *words)
    assert path.name in said(filled, "verify", status=3)


def test_show_of_a_broken_entry(filled: Project):
    broken = entries(filled)[0]
    broken.write_bytes(b"nothing")
    assert "broken" in said(filled, "show", broken.stem, status=3)
    assert "is not an entry" in answer(filled, "show", broken.stem, status=3)["problem"]


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


@pytest.mark.parametrize("left", [-1, -22, -60])
def test_verify_finds_an_entry_whose_end_is_cut_off(filled: Project, left: int):
    cut = artifacts(filled)[0]
    cut.write_bytes(cut.read_bytes()[:left])
    assert f"{cut} is not a whole zip file" in said(filled, "verify", status=3)
    assert "1 broken, 1 removed" in said(filled, "verify", "--repair")
    assert not cut.exists()


def test_verify_finds_bytes_behind_the_end_of_an_entry(filled: Project):
    longer = artifacts(filled)[0]
    longer.write_bytes(longer.read_bytes() + b"more")
    assert "1 broken" in said(filled, "verify", status=3)


# prune and clear


@pytest.mark.parametrize("words", [("prune", "--max-size", "0"), ("clear",)], ids=" ".join)
def test_a_dry_run_writes_nothing(filled: Project, words: tuple[str, ...]):
    (filled.cache / "lock").unlink()
    for folder in ("leases", "tmp"):  # what a killed process left
        (filled.cache / folder / ".wazcache-0123456789abcdef.tmp").touch()
    before = tree(filled.cache)
    assert answer(filled, *words, "--dry-run")["removed"] == 4
    assert tree(filled.cache) == before
    assert answer(filled, *words)["removed"] == 4


@pytest.mark.parametrize(
    "words",
    [("prune", "--max-size", "0"), ("clear",), ("verify", "--repair")],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("tag", [None, "Signature: 8a477f597d28d172789f06886806bc55\n"])
def test_nothing_is_removed_from_a_folder_that_is_not_marked_as_our_cache(
    filled: Project, words: tuple[str, ...], tag: str | None
):
    break_(artifacts(filled)[0])
    (filled.cache / "CACHEDIR.TAG").unlink()
    if tag:
        (filled.cache / "CACHEDIR.TAG").write_text(tag)
    before = tree(filled.cache)
    assert f"{filled.cache} has no CACHEDIR.TAG of hatch-wazcache" in refused(filled, *words)
    assert tree(filled.cache) == before


def test_clear_in_a_folder_of_others_removes_nothing(filled: Project, tmp_path: Path):
    others = tmp_path / "others"
    for name in ("builds/total.json", "builds/1-ab.json", "engines/sha256=x", "tmp/a"):
        (others / name).parent.mkdir(parents=True, exist_ok=True)
        (others / name).touch()
    before = tree(others)
    assert answer(filled, "clear", "--cache-dir", others)["removed"] == 0
    assert tree(others) == before


def test_a_build_says_why_a_cache_without_the_mark_is_not_pruned(filled: Project):
    (filled.cache / "CACHEDIR.TAG").unlink()
    filled.append("max-size = 0\n")
    filled.write("demo/new.wasm", tiny("new"))
    built = filled.build()
    assert built.status == 0, built.output
    assert "the cache cannot be pruned" in built.output
    assert len(artifacts(filled)) == 3


def test_prune_keeps_a_cache_that_is_within_bounds(filled: Project):
    assert said(filled, "prune") == "0 entries removed, 0 B freed\n"
    assert len(entries(filled)) == 4


def test_prune_without_options_keeps_the_projects_max_size(filled: Project):
    oldest = artifacts(filled)[0]
    age(oldest, 1000)
    size = sum(entry.stat().st_blocks * 512 for entry in entries(filled))
    filled.append(f'max-size = "{size - 1} B"\n')
    assert answer(filled, "prune")["keys"] == [oldest.stem]
    assert oldest not in entries(filled)


def test_prune_to_a_size(filled: Project):
    about = answer(filled, "prune", "--max-size", "0")
    assert (about["removed"], about["in_use"], about["failed"]) == (4, 0, 0)
    assert entries(filled) == []


def test_prune_to_a_size_without_its_unit_is_refused(filled: Project):
    done = run(filled, "prune", "--max-size", "5")
    assert done.returncode == 2
    assert "5 has no unit: write 5MB or 5GiB, or 5B for bytes" in done.stderr
    assert len(entries(filled)) == 4


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
        assert "knows no build" in refused(filled, "prune", option)
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
        "from hatch_wazcache.formats.wasm import read_wasm\n"
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
        pytest.skip(NO_MOUNT)
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
