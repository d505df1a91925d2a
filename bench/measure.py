"""Runs commands several times, the contenders in turn, and keeps their figures."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from bench.rows import Sample

__all__ = ["Figures", "alternately", "child", "machine", "peak_of_all", "run"]

CHILD = Path(__file__).parent / "child.py"
_LOOK_EVERY = 0.02
"""Seconds between two looks at the memory of a process and its children."""

Figures = Mapping[str, float]
"""The figures of one run: `whole`, the seconds from start to end, and those that a child prints."""


def run(
    words: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Figures:
    """Run a command to its end; its last line of output may hold more figures, as JSON."""
    begin = time.perf_counter()
    done = subprocess.run(
        words, env=_environment(env), cwd=cwd, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    whole = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    last = done.stdout.splitlines()[-1:] or [""]
    figures = json.loads(last[0]) if last[0].startswith("{") else {}
    return {"whole": whole, **figures}


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return an environment in which Python writes bytecode, as in an installation."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(more or {})}


def child(*words: str | Path, **env: str) -> Figures:
    """Run a function of `child.py`."""
    return run([sys.executable, CHILD, *words], env)


def alternately(
    rounds: int, contenders: Mapping[str, Callable[[], Figures]]
) -> dict[tuple[str, str], Sample]:
    """Run each contender once a round; every other round goes backwards.

    Returns:
        Samples by contender and figure.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            for figure, value in contenders[name]().items():
                values.setdefault((name, figure), []).append(value)
    return {key: Sample(tuple(found)) for key, found in values.items()}


def peak_of_all(words: Sequence[str | Path], env: Mapping[str, str] | None = None) -> float:
    """Return the peak memory of a command together with its children, in bytes.

    Shared memory counts once (PSS).
    """
    import psutil

    with subprocess.Popen(
        words, env=_environment(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as started:  # fmt: skip
        peak = 0
        process = psutil.Process(started.pid)
        while started.poll() is None:
            total = 0
            with suppress(psutil.Error):  # one has just ended
                for one in (process, *process.children(recursive=True)):
                    total += one.memory_full_info().pss
            peak = max(peak, total)
            time.sleep(_LOOK_EVERY)
    assert started.returncode == 0, words
    return float(peak)


def machine() -> dict[str, str]:
    """Describe the machine, and the versions of the programs."""
    text = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    about = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", text, re.MULTILINE))
    kind = "".join(f", {name} {about[name]}" for name in ("cpu family", "model") if name in about)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": f"{os.cpu_count()} of {about.get('model name', platform.machine())}{kind}",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("wasmtime", "hatchling", "setuptools", "deflate")},
    }
