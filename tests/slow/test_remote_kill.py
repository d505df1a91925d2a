"""Builds that are killed with SIGKILL while they use a shared cache, and the next build."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.projects import Project
from tests.support.remote_chaos import ASSETS, kill

KILLS = 8
"""`tests/fuzz/fuzz_remote.py` does as many as you like."""


def test_a_build_killed_in_a_transfer_leaves_nothing_and_the_next_is_right(
    project: Project, tmp_path: Path
):
    for path, name in ASSETS.items():
        project.wasm(path, name)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    counts = kill(project, tmp_path, KILLS, seed)
    assert counts == {"GET": KILLS // 2, "PUT": KILLS // 2}
