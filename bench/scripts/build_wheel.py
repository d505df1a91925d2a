"""Builds the wheel of the project in this folder, in one process, and tells the seconds of each.

Run as: build_wheel.py OUT TIMES. What hatchling imports to build is imported before the clock runs;
what a plugin imports is not.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import hatchling.bridge.app
import hatchling.builders.wheel
import hatchling.metadata.core
import hatchling.plugin.manager
from hatchling.build import build_wheel


def peak() -> int:
    """Return the most bytes that this process alone had resident."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) << 10


seconds = []
for _ in range(int(sys.argv[2])):
    started = time.perf_counter()
    name = build_wheel(sys.argv[1])
    seconds.append(time.perf_counter() - started)
print(json.dumps({"seconds": seconds, "peak": peak(), "wheel": name}))
