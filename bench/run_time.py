"""What a user waits for: artifacts in a companion, for several engines, and where none fits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.measure import Figures, alternately, child
from bench.projects import Projects
from bench.rows import Row, Sample

__all__ = ["OTHER_CACHES", "run_time_rows"]

_FOUR = ["50", "49", "48", "47"]
"""wasmtime 48 is installed."""
_OTHERS = ["50", "49", "47", "46"]

OTHER_CACHES = {
    "cache": "wasmtime's own cache, warm",
    "yowasp": "yowasp-runtime, warm",
    "amla": "amla-sandbox, warm",
}
"""The caches that compile a module once for each user: how `child.py` calls them, and a label."""


def run_time_rows(projects: Projects, work: Path) -> Iterator[Row]:
    """Load a module in a new process, from wheels of several kinds.

    Args:
        projects: the projects of the input, which has one file.
        work: the folder where the wheels are unpacked.
    """
    sites = _sites(projects, work)
    row = partial(Row, 16, projects.input.name)
    took = alternately(
        31, {name: partial(_load, sites[name]) for name in ("one", "four", "companion")}
    )
    one = took["one", "load"]
    for name, what, against, most in (
        ("companion", "`load_module`, from a companion", "from the package", 0.3),
        ("four", "`load_module`, artifacts for four engines", "for one engine", 0.3),
    ):
        ours = took[name, "load"]
        more = ours.less(one).times(1000)
        yield row(what, ours, against, one, more, "s", None, most, "ms more")
    ours, one = (took[name, "both"] for name in ("companion", "one"))
    what = "from start to module, from a companion"
    yield row(what, ours, "from the package", one, ours.over(one), "s", None, 1.05)
    yield from _refused(projects, sites, work / "caches-of-others")


def _sites(projects: Projects, work: Path) -> dict[str, Path]:
    """Build the wheels of each kind, and unpack them."""
    sites = {}
    companion = 'engines = ["48"]\ncompanion = "demo-wasmtime"\n'
    for name, text, dependencies, target in (
        ("companion", companion, '["demo-wasmtime", "wasmtime>=48,<49"]', "wazcache"),
        ("four", f"engines = {_FOUR}\n", '["wasmtime>=44,<51"]', "wheel"),
        ("others", f"engines = {_OTHERS}\n", '["wasmtime>=44,<51"]', "wheel"),
        ("one", "", '["wasmtime>=48,<49"]', "wheel"),
    ):
        projects.options(text, dependencies)
        sites[name] = projects.install(work / name, target)
    sites["none"] = work / "none"
    without = shutil.ignore_patterns("*.cwasm")
    shutil.copytree(sites["one"], sites["none"], ignore=without, dirs_exist_ok=True)
    return sites


def _load(site: Path, how: str = "loader", **env: str) -> Figures:
    (wasm,) = (site / "demo").glob("*.wasm")
    return child("load", how, wasm, wasm.with_suffix(".cwasm"), site, **env)


def _refused(projects: Projects, sites: dict[str, Path], caches: Path) -> Iterator[Row]:
    """Start for the second time where no artifact fits, beside the caches of others."""
    shutil.rmtree(caches, ignore_errors=True)
    env = {"XDG_CACHE_HOME": str(caches), "YOWASP_CACHE_DIR": str(caches / "yowasp")}
    contenders = {
        name: partial(_load, sites[name], "fallback", **env) for name in ("none", "others")
    }
    contenders |= {how: partial(_load, sites["one"], how, **env) for how in OTHER_CACHES}
    for load in contenders.values():
        load()
    took: dict[tuple[str, str], Sample] = alternately(15, contenders)
    row = partial(Row, 16, projects.input.name)
    for name, what in (
        ("none", "second start, without an artifact for the system"),
        ("others", "second start, artifacts for four other engines"),
    ):
        ours = took[name, "both"]
        for how, label in OTHER_CACHES.items():
            theirs = took[how, "both"]
            yield row(what, ours, label, theirs, theirs.over(ours), "s", 1.0)
