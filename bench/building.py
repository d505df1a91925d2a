"""Building wheels: cold, warm, after a change; beside stock hatchling and a hook of one's own."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import projects
from bench.environments import OURS, STOCK, WORK, Environment
from bench.measure import Process, run

if TYPE_CHECKING:
    from bench.inputs import Input
    from bench.measure import Results

__all__ = ["measure_building"]


@dataclass(frozen=True)
class Builder:
    """One contender: its project, and the environment that it is built in."""

    project: Path
    environment: Environment
    cache: Path = WORK / "no-cache"

    def _env(self) -> dict[str, str]:
        return self.environment.env(WAZCACHE_DIR=str(self.cache))

    def build(self, times: int = 1) -> Process:
        """Build in one process, by build_wheel."""
        words = [self.environment.python, projects.SCRIPTS / "build_wheel.py", self.out(), times]
        return run([str(word) for word in words], self.project, self._env())

    def out(self) -> Path:
        """Return the folder for the wheel, with nothing in it."""
        out = self.project / "dist"
        shutil.rmtree(out, ignore_errors=True)
        return out

    def warm(self) -> dict[str, float]:
        """Build twice in one process, and once in one of its own."""
        told = self.build(times=2).told
        words = [str(self.environment.python), "-m", "hatchling", "build", "-t", "wheel"]
        whole = run([*words, "-d", str(self.out())], self.project, self._env())
        return {
            "warm": told["seconds"][1],
            "warm, first in its process": told["seconds"][0],
            "warm, whole process": whole.seconds,
            "warm memory": told["peak"],
            "wheel size": self.wheel().stat().st_size,
        }

    def cold(self) -> dict[str, float]:
        """Build with nothing compiled."""
        shutil.rmtree(self.cache, ignore_errors=True)
        for artifact in (self.project / "package").glob("*.cwasm"):
            artifact.unlink()
        process = self.build()
        told = process.told
        return {
            "cold": told["seconds"][0],
            "cold memory": told["peak"],
            "cold tree memory": process.peak,
        }

    def wheel(self) -> Path:
        """Return the wheel that was built last."""
        (wheel,) = (self.project / "dist").glob("*.whl")
        return wheel


def measure_building(input_: Input, results: Results, *, quick: bool) -> Path:
    """Measure all builds of an input.

    Returns:
        The wheel.
    """
    name, files = input_.name, input_.files
    ours = Builder(projects.ours(name, files), OURS, WORK / "caches" / name)
    hand = Builder(projects.hand_written(name, files), STOCK)
    bare = Bare(input_)
    results.alternate(
        name,
        {"hatch-wazcache": ours.cold, "hand-written hook": hand.cold, "bare compiler": bare.run},
        1 if quick else input_.cold_repeats,
    )
    wheel = ours.wheel()
    kept = WORK / "wheels" / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    wheel = Path(shutil.copy2(wheel, kept))
    results.alternate(
        name,
        {
            "hatch-wazcache": ours.warm,
            "stock hatchling": Builder(
                projects.stock_with_artifacts(name, files, wheel), STOCK
            ).warm,
            "stock hatchling, wasm alone": Builder(projects.stock(name, files), STOCK).warm,
            "hand-written hook": hand.warm,
        },
        3 if quick else input_.repeats,
    )
    artifacts = [path for path in (hand.project / "package").iterdir() if path.suffix == ".cwasm"]
    results.add(name, "hatch-wazcache", "cache size", "B", _size(ours.cache))
    raw = sum(path.stat().st_size for path in artifacts)
    results.add(name, "raw artifacts", "cache size", "B", raw)
    return wheel


@dataclass(frozen=True)
class Bare:
    """The compiler alone, by wasmtime-py in a loop."""

    input: Input

    def run(self) -> dict[str, float]:
        words = [str(STOCK.python), str(projects.SCRIPTS / "compile_all.py"), projects.TRIPLE]
        process = run([*words, *map(str, self.input.files.values())], WORK, STOCK.env())
        told = process.told
        return {
            "compiling": told["compiling"],
            "deflating": told["deflating"],
            "cold": process.seconds,
            "cold tree memory": process.peak,
        }


def _size(folder: Path) -> int:
    return sum(
        os.lstat(Path(place, name)).st_size
        for place, _folders, names in os.walk(folder)
        for name in names
    )
