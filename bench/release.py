"""A release: wheels for all targets and four engines, compared with `cp` of the same wheels."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from bench.measure import Figures, alternately, child, run
from bench.projects import Projects
from bench.rows import Row, Sample
from hatch_wazcache.compile.memory import usable_cores
from hatch_wazcache.engine.compiler_config import wasmtime_cli_arguments
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.formats.zip_members import DEFLATE_LEVEL

__all__ = ["Release", "release_rows"]

_MAJORS = ("46", "47", "48", "49")
"""The four newest engines whose wasmtime CLI is on PyPI."""

_TOO_LARGE = {"yosys": ("aarch64-windows",)}
"""Systems for which wasmtime cannot compile an input: "function too large"."""

_MB = 1e6


class Release:
    """The project of an input that makes all wheels of a release."""

    def __init__(self, projects: Projects, *, quick: bool) -> None:
        """Choose targets and engines; nothing is built yet.

        Args:
            projects: the projects of the input.
            quick: only two targets and two engines.
        """
        self.projects = projects
        self.majors = _MAJORS[-2:] if quick else _MAJORS
        names = ("x86_64-linux", "aarch64-linux") if quick else tuple(SYSTEMS)
        unfit = _TOO_LARGE.get(projects.input.name, ())
        self.targets = tuple(name for name in names if name not in unfit)
        self.copies = projects.dist("copies")

    def use(self, *, companions: bool) -> None:
        """Write the options: companions, or all artifacts in the wheels of the package."""
        text = f"engines = {list(self.majors)}\ntargets = {list(self.targets)}\n"
        text += 'compiler = "pypi"\n' + 'companion = "demo-wasmtime"\n' * companions
        self.projects.options(text)
        file = self.projects.root("ours") / "pyproject.toml"
        needed = f"wasmtime>={self.majors[0]},<{int(self.majors[-1]) + 1}"
        needed += '", "demo-wasmtime' * companions
        file.write_text(file.read_text().replace("wasmtime>=48,<49", needed))

    @property
    def wheels(self) -> list[Path]:
        """The wheels of the last build."""
        return sorted(self.projects.dist("ours").glob("*.whl"))

    def build(self) -> Figures:
        """Make all wheels, in one process."""
        dist = self.projects.dist("ours")
        shutil.rmtree(dist, ignore_errors=True)
        env = {"WAZCACHE_DIR": str(self.projects.cache), "WAZCACHE_WASMTIME": ""}
        return child("release", self.projects.root("ours"), dist, **env)

    def copy(self) -> Figures:
        """Copy all wheels by `cp` to another folder of the same disk."""
        shutil.rmtree(self.copies, ignore_errors=True)
        self.copies.mkdir(parents=True)
        return run(["cp", *self.wheels, self.copies])

    def start(self) -> Figures:
        """Start the Python of the build, with the modules of hatchling that build a wheel."""
        return run([sys.executable, "-c", "import hatchling.builders.wheel"])

    def cold(self) -> Figures:
        """Make all wheels, with a cache that has the engines and no entry."""
        for scope in (*self.projects.cache.glob("wasmtime-*"), self.projects.cache / "sources"):
            shutil.rmtree(scope)
        return self.build()

    def compilers(self) -> Figures:
        """Compile and deflate all artifacts, and nothing else: a job for each core."""
        clis = [self._cli(major) for major in self.majors]
        begin = time.perf_counter()
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(self._compile, *zip(*product(self.targets, clis), strict=True)))
        return {"whole": time.perf_counter() - begin}

    def _cli(self, major: str) -> Path:
        """Return the wasmtime CLI that the build has fetched."""
        (cli,) = self.projects.cache.glob(f"engines/*{major}.*/bin/wasmtime")
        return cli

    def _compile(self, target: str, cli: Path) -> None:
        from deflate import deflate_compress

        out = self.copies / f"{target}.{cli.parent.parent.name}.cwasm"
        words = wasmtime_cli_arguments(SYSTEMS[target].triple, (), {}, parallel=False)
        for wasm in self.projects.wasm:
            run([cli, "compile", *words, "-o", out, wasm])
            deflate_compress(out.read_bytes(), DEFLATE_LEVEL)


def release_rows(
    projects: Projects, *, rounds: int, rounds_cold: int, quick: bool
) -> Iterator[Row]:
    """Build a release again, and from an empty cache.

    Args:
        projects: the projects of the input.
        rounds: how many times a warm build is timed.
        rounds_cold: how many times a cold build is timed; 0 for never.
        quick: only two targets and two engines.
    """
    release = Release(projects, quick=quick)
    row = partial(Row, 15, projects.input.name)
    for companions in (True, False):
        release.use(companions=companions)
        release.build()  # fetches the engines, and compiles
        count, size = len(release.wheels), sum(wheel.stat().st_size for wheel in release.wheels)
        how = "companions" if companions else "all engines in a wheel"
        what = f"{count} wheels, {how}, {size / _MB:.0f} MB"
        contenders = {"ours": release.build, "cp": release.copy, "start": release.start}
        took = alternately(rounds, contenders)
        ours, least = took["ours", "whole"], took["cp", "whole"].plus(took["start", "whole"])
        against = "`cp` of the wheels, and a start of Python"
        yield row(f"{what}: warm", ours, against, least, ours.over(least), "s", None, 2.0)
        peak = Sample((max(took["ours", "peak"].values) / _MB,))
        yield row(f"{what}: memory of the building process, warm", peak, "", None, peak, "MB",
                  None, 120.0)  # fmt: skip
    if rounds_cold:
        release.use(companions=True)
        took = alternately(rounds_cold, {"ours": release.cold, "bare": release.compilers})
        ours, bare = took["ours", "whole"], took["bare", "whole"]
        jobs = len(release.targets) * len(release.majors)
        against = "the wasmtime CLIs and libdeflate alone, on all cores"
        yield row(f"{jobs} artifacts: cold", ours, against, bare, ours.over(bare), "s", None, 1.05)
    projects.options()
