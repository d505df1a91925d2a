"""Which packages can be installed together: asks the resolvers of uv and pip, pair by pair."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from bench.local_index import ENGINES, WAYS, Package, packages, write_index
from bench.rows import Row, Sample

__all__ = ["INSTALLERS", "Together", "together_rows"]

Versions = Mapping[str, str]
"""The version of each package in a solution, by name."""

_LABELS = {
    "one major": "one major version required",
    "engines": f"`engines`, the {ENGINES} newest",
    "companions": f"`companion`, the {ENGINES} newest engines",
}


class Together(NamedTuple):
    """The answers of one resolver for all pairs of packages."""

    pairs: int
    """The number of pairs that can be installed together."""
    precompiled: int
    """The number of packages in these pairs that load an artifact."""


def together_rows(work: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the ways to ship by the pairs of packages that can be installed together.

    Args:
        work: the folder for the wheels.
        quick: ask only uv, which needs 20 seconds; pip needs 5 minutes.
    """
    index = work / "together"
    shutil.rmtree(index, ignore_errors=True)
    for way in WAYS:
        write_index(index / way, way)
    for installer, resolve in INSTALLERS.items():
        if quick and installer == "pip":
            continue
        found = {way: _together(index / way, way, resolve) for way in WAYS}
        row = partial(Row, 10, f"18 packages, {installer}")
        released = Sample((float(found["as released"].pairs),))
        for way, label in _LABELS.items():
            ours, loads = (Sample((float(n),)) for n in found[way])
            what, least = f"{label}: pairs that install", None if way == "one major" else 1.0
            yield row(what, ours, "as released", released, ours.over(released), "pairs", least)
            what, both = f"{label}: packages in them with artifacts", ours.times(2)
            yield row(what, loads, "all packages in them", both, loads.over(both), "packages")


def _together(
    index: Path, way: str, resolve: Callable[[Path, Sequence[str]], Versions | None]
) -> Together:
    """Resolve each pair of packages from the wheels of one way to ship."""
    pairs = list(combinations(packages(), 2))
    answers = [(pair, resolve(index, [package.name for package in pair])) for pair in pairs]
    solved = [(pair, versions) for pair, versions in answers if versions is not None]
    loads = sum(_loads(package, way, versions) for pair, versions in solved for package in pair)
    return Together(len(solved), loads)


def _loads(package: Package, way: str, versions: Versions) -> bool:
    """Say whether a package loads an artifact in an environment with these versions."""
    wasmtime = Version(versions["wasmtime"]).major
    if way == "companions":
        companion = Version(versions[f"{package.name}-wasmtime"]).major
        assert companion in (0, wasmtime), versions
        return companion == wasmtime
    if way == "one major":
        return wasmtime == package.majors[0] and wasmtime in package.engines
    return way == "engines" and wasmtime in package.engines


def _uv(index: Path, names: Sequence[str]) -> Versions | None:
    words = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-config", "--no-index"]
    words += ["--find-links", str(index), "--no-header", "--no-annotate", "-"]
    done = subprocess.run(
        words, input="\n".join(names), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        assert "No solution found" in done.stderr, done.stderr
        return None
    return dict(line.split("==") for line in done.stdout.splitlines())


def _pip(index: Path, names: Sequence[str]) -> Versions | None:
    words = [sys.executable, "-m", "pip", "install", "-q", "--isolated", "--dry-run"]
    words += ["--ignore-installed", "--report", "-", "--no-index", "--find-links", str(index)]
    done = subprocess.run([*words, *names], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        assert "ResolutionImpossible" in done.stderr, done.stderr
        return None
    found = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {metadata["name"]: metadata["version"] for metadata in found}


INSTALLERS = {"uv": _uv, "pip": _pip}
"""The resolvers: each takes a folder of wheels and names, and returns None for no solution."""
