"""Converts real packages, measures them before and after, and prints the table of the docs.

`python -m bench.adopters` does all; `--only NAME` some, `--publish` writes into the docs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import output
from bench.adopters.convert import Converted, convert, download
from bench.adopters.measure import Environment, measure, run_tests
from bench.adopters.package import Package, read_packages
from bench.adopters.table import merged, table

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "adopters.md"
RESULTS = ROOT / "docs" / "performance" / "adopters.json"


def main() -> None:
    """Convert and measure the packages that the command line names."""
    packages = read_packages()
    names = [name for name, one in packages.items() if not one.runtime]
    parser = argparse.ArgumentParser(prog="python -m bench.adopters", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", default=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--publish", action="store_true", help="write the results into the docs")
    parser.add_argument("--no-tests", action="store_true", help="do not run the packages' tests")
    parser.add_argument("--links", type=Path, help="a folder for what is downloaded")
    default = ROOT / ".work" / "adopters"
    parser.add_argument("--work", type=Path, default=default, help="a folder that is made anew")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    bench = Adopters(packages, work, arguments.links or ROOT / ".work" / "adopters-links")
    results = {}
    for name in arguments.only:
        begin = time.monotonic()
        results[name] = bench.result(packages[name], arguments.rounds, not arguments.no_tests)
        print(table({name: results[name]}).splitlines()[-1], flush=True)
        print(f"-- {name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        if arguments.publish:
            publish({name: results[name]})
    print(table(results))


def publish(results: dict[str, Any]) -> None:
    """Write results into the docs; those of other packages stay."""
    old = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    whole = merged(old, results)
    RESULTS.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    output.insert(PAGE, "adopters", table(whole))


class Adopters:
    """The conversions: each once, with one cache."""

    def __init__(self, packages: dict[str, Package], work: Path, links: Path) -> None:
        """Create the folders.

        Args:
            packages: all records.
            work: a folder for this run.
            links: a folder for downloads; the wheels of converted runtimes go there, too.
        """
        self._packages = packages
        self._work = work
        self._links = links
        self._converted: dict[str, Converted] = {}
        (links / "released").mkdir(parents=True, exist_ok=True)

    def convert(self, package: Package, engine: str | None = None) -> Converted:
        """Convert a package, for users of a version of wasmtime."""
        if package.name not in self._converted:
            work = self._work / package.name
            work.mkdir(parents=True)
            made = convert(package, work, self._links, self._work / "cache", engine)
            if package.runtime:
                shutil.copy(made.wheels[0], self._links)
            self._converted[package.name] = made
        return self._converted[package.name]

    def result(self, package: Package, rounds: int, with_tests: bool) -> dict[str, Any]:
        """Convert, install and measure a package; return its row as JSON."""
        needed = [self.convert(self._packages[package.needs])] if package.needs else []
        released = download(package, self._links / "released")
        extra = f"[{package.extra}]" if package.extra else ""
        base = self._work / f"{package.name}-environments"
        sides = {side: Environment(base / side) for side in ("before", "after")}
        sides["before"].make(
            self._links, f"{package.name}{extra} @ {released.as_uri()}",
            *(one.released for one in needed),
        )  # fmt: skip
        engine = sides["before"].wasmtime()
        made = self.convert(package, engine)
        own, *companions = made.wheels
        sides["after"].make(
            self._links, f"{package.name}{extra} @ {own.as_uri()}", *companions[-1:],
            *(one.wheels[0] for one in needed), f"wasmtime=={engine}",
        )  # fmt: skip
        times = measure(package, sides, package.rounds or rounds)
        tests = []
        if with_tests and package.tests:
            sdist = _sdist(package, self._links)
            tests = [run_tests(package, sdist, sides[side], self._links) for side in sides]
        return {
            "version": package.version,
            "wasmtime": engine,
            "added": made.changed.added,
            "removed": made.changed.removed,
            "cache": package.cache,
            "released": made.released.stat().st_size,
            "wheels": [wheel.stat().st_size for wheel in made.wheels],
            "times": {side: one._asdict() for side, one in times.items()},
            "tests": tests,
        }


def _sdist(package: Package, links: Path) -> Path:
    name = f"{package.module}-{package.version}.tar.gz"
    if not (links / "released" / name).is_file():
        words: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
        ]
        words += [package.name, "-d", links / "released", f"{package.name}=={package.version}"]
        subprocess.run(words, check=True)
    return links / "released" / name


if __name__ == "__main__":
    main()
