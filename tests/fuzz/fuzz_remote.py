"""Builds with a shared cache that misbehaves at random, and builds that are killed in transfers.

No build may fail, hang, make another wheel, or leave anything. The slow tests do the same for a
minute.

    python tests/fuzz/fuzz_remote.py --seconds 600 --kills 100
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.support.projects import PYPROJECT, Project
from tests.support.remote_chaos import ASSETS, kill, misbehave


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600, help="for how long to misbehave")
    parser.add_argument("--kills", type=int, default=100, help="how many builds to kill")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print("seed", options.seed, flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = Project(folder / "project", folder / "cache")
        project.write("pyproject.toml", PYPROJECT)
        project.write("demo/__init__.py")
        for path, asset in ASSETS.items():
            project.wasm(path, asset)
        started = time.monotonic()
        counts = misbehave(project, folder, options.seconds, options.seed)
        print(f"{time.monotonic() - started:.0f} s of builds: {dict(counts)}", flush=True)
        started = time.monotonic()
        counts = kill(project, folder, options.kills, options.seed)
        print(f"{time.monotonic() - started:.0f} s of kills: {dict(counts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
