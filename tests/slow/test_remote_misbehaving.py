"""Builds while their shared cache misbehaves, on all ways that lead to it."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.projects import Project
from tests.support.remote_chaos import ASSETS, misbehave

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
