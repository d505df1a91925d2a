"""Builds while their shared cache misbehaves, on all ways that lead to it."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.misbehaving_server import Server
from tests.support.projects import Project
from tests.support.remote_chaos import ASSETS, Machine, misbehave, wheel_of

SECONDS = 60
"""`tests/fuzz/fuzz_remote.py` does the same for as long as you like."""


def test_no_build_fails_hangs_or_changes_whatever_the_shared_cache_does(
    project: Project, tmp_path: Path
):
    for path, name in ASSETS.items():
        project.wasm(path, name)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    counts = misbehave(project, tmp_path, SECONDS, seed)
    print(counts)
    assert counts["found"]
    assert counts["uploaded"]
    assert counts["warned"]
    assert sum(name.startswith("way ") for name in counts) > 10


def test_a_silent_server_is_waited_for_once(project: Project, tmp_path: Path):
    expected, machine = wheel_of(project), Machine(project, tmp_path / "machine")
    with Server() as server:
        server.misbehave("silent")
        build = machine.begin(WAZCACHE_REMOTE=f"http://{server.host}/x")
        assert "this build goes on without it" in machine.end(build, expected)
        assert [seen.method for seen in server.seen] == ["GET"]
