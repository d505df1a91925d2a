"""The command line: measures, prints a line for each comparison, and writes tables and plots."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from bench import output
from bench.goals import GOALS, Bench
from bench.measure import machine
from bench.rows import Row
from bench.sections import SECTIONS

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "docs" / "performance"


def main() -> None:
    """Measure, and write the results; the results of a complete run go into the docs.

    The goals that are missed are named on standard error.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs, few rounds")
    parser.add_argument("--only", nargs="+", choices=GOALS, metavar="GOAL", help=", ".join(GOALS))
    parser.add_argument("--out", type=Path, help="the folder for tables and plots")
    parser.add_argument(
        "--publish", action="store_true", help="with --only: replace these rows in the docs"
    )
    parser.add_argument(
        "--redraw", action="store_true", help="measure nothing: write the published results again"
    )
    arguments = parser.parse_args()
    if arguments.redraw:
        publish()
        return
    whole = not (arguments.quick or arguments.only or arguments.out)
    out = PUBLISHED if whole else arguments.out or ROOT / ".work" / "bench-results"
    begin = time.monotonic()
    rows = measured = measure(arguments.only or list(GOALS), quick=arguments.quick)
    if arguments.publish:
        out, rows = PUBLISHED, output.merge(output.read(PUBLISHED), measured)
    output.write(rows, machine(), out)
    if out == PUBLISHED:
        publish()
    else:
        (out / "results.md").write_text(output.table(rows))
        _draw(rows, out)
    print(f"{len(rows)} rows in {time.monotonic() - begin:.0f} s, written to {out}")
    for text in filter(None, map(output.missed, measured)):
        print(text, file=sys.stderr)


def measure(names: list[str], *, quick: bool) -> list[Row]:
    """Measure some goals."""
    work = ROOT / ".work" / "bench"
    shutil.rmtree(work, ignore_errors=True)
    named = os.environ.get("WAZCACHE_WASMTIME")
    wasmtime_cli: Path | None = Path(named or ROOT / ".work" / "wasmtime" / "bin" / "wasmtime")
    if wasmtime_cli is not None and not wasmtime_cli.is_file():
        print("there is no wasmtime CLI; `make wasmtime` downloads it", file=sys.stderr)
        wasmtime_cli = None
    bench = Bench(work, wasmtime_cli, quick=quick)
    rows: list[Row] = []
    for name in names:
        begin = time.monotonic()
        for row in GOALS[name](bench):
            rows.append(row)
            print(output.line(row), flush=True)
        print(f"-- {name}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return rows


def publish() -> None:
    """Write the published results into the README and the page on performance."""
    rows = output.read(PUBLISHED)
    page = ROOT / "docs" / "performance.md"
    output.insert(ROOT / "README.md", "before and after", output.before_and_after(rows))
    output.insert(page, "summary", output.summary(rows))
    output.insert(page, "machine", output.about_machine(output.read_machine(PUBLISHED)))
    for section in SECTIONS:
        output.insert(page, section.place, output.table(section.rows(rows)))
    _draw(rows, PUBLISHED)


def _draw(rows: list[Row], folder: Path) -> None:
    from bench import plots  # matplotlib takes a second

    plots.draw(rows, folder)


if __name__ == "__main__":
    main()
