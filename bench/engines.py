"""One wheel for several versions of wasmtime, compared with a wheel for one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial

from bench.measure import Figures, alternately
from bench.projects import Projects
from bench.rows import Row, Sample

__all__ = ["engines_rows"]

_MAJORS = ("48", "50", "49", "47", "46", "45", "44")
"""The first is installed; the others are fetched before anything is timed."""

_MB = 1e6


def engines_rows(projects: Projects, *, quick: bool) -> Iterator[Row]:
    """Build a wheel for one engine and for several, with an empty cache and again.

    Args:
        projects: the projects of the input.
        quick: compile for two engines at most.
    """
    counts = (1, 2) if quick else (1, 3, 7)
    project = partial(_project, projects)
    sizes: dict[int, float] = {}
    for count in counts:
        project(count)
        projects.build("ours")  # fetches the engines
        first = projects.wheel("ours").read_bytes()
        _forget(projects)
        projects.build("ours")
        assert projects.wheel("ours").read_bytes() == first, "another build makes other bytes"
        sizes[count] = len(first) / _MB
    row = partial(Row, 11, projects.input.name)
    for temper, build, rounds, most in (
        ("cold", partial(_cold, projects), 3, None),
        ("warm", partial(projects.build, "ours"), 3 if quick else 9, 2.0),
    ):
        took = alternately(
            rounds, {str(count): partial(_after, project, count, build) for count in counts}
        )
        one = took["1", "whole"]
        for count in counts[1:]:
            ours = took[str(count), "whole"]
            what = f"{count} engines, {temper}"
            yield row(what, ours, f"one engine, {temper}", one, ours.over(one), "s", None, most)
    one_size = Sample((sizes[1],))
    for count in counts[1:]:
        ours = Sample((sizes[count],))
        what = f"{count} engines, the wheel"
        yield row(what, ours, "one engine, the wheel", one_size, ours.over(one_size), "MB")
    projects.options()


def _project(projects: Projects, count: int) -> None:
    """Give the project the first engines, and a requirement that admits them."""
    projects.options(f"engines = {list(_MAJORS[:count])}\n", '["wasmtime>=44,<51"]')


def _after(project: Callable[[int], None], count: int, build: Callable[[], Figures]) -> Figures:
    project(count)
    return build()


def _cold(projects: Projects) -> Figures:
    _forget(projects)
    return projects.build("ours")


def _forget(projects: Projects) -> None:
    """Remove all entries from the cache, but no engine."""
    for scope in (*projects.cache.glob("wasmtime-*"), projects.cache / "sources"):
        shutil.rmtree(scope)
