"""Measures what the artifact saves: the time from a fresh process to the first formatted source.

Run `python demo.py` where the gofmt wheel is installed. It starts itself in two child processes:
one uses the package as it is installed; the other compiles gofmt.wasm when it is first needed, as
the package would if its wheel had no artifact. Both count from their first line (Python itself has
started by then) to the result: importing wasmtime and gofmt, loading or compiling, and one run.
"""

from __future__ import annotations

import os
import sys
import time

BEGIN = time.perf_counter()
# What only the parent process needs is imported there, so that the children do not count it.


def child(mode: str) -> None:
    """Format the sample once; print the seconds and the result."""
    import wasmtime

    imported = time.perf_counter()
    import gofmt

    sample = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sample.go")
    with open(sample, encoding="utf-8") as file:
        source = file.read()
    if mode == "installed":
        formatted = gofmt.format(source)
    else:
        from gofmt import _command, _wazcache

        engine = _wazcache.engine()
        wasm = os.path.join(os.path.dirname(gofmt.__file__), "gofmt.wasm")
        command = _command.Command(engine, wasmtime.Module.from_file(engine, wasm))
        formatted = command.run(source.encode()).stdout.decode()
    end = time.perf_counter()

    import json

    print(json.dumps([imported - BEGIN, end - BEGIN, formatted]))


def run_child(mode: str) -> tuple[float, float, str]:
    """Run a child; return its seconds to import wasmtime, its seconds in all, and its result."""
    import json
    import subprocess

    command = [sys.executable, __file__, mode]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    imported, total, formatted = json.loads(output)
    return imported, total, formatted


def main() -> int:
    """Check that the artifact is in use, run both children, print the table."""
    try:
        from gofmt import _wazcache
    except ImportError as error:
        print(f"demo.py: install the gofmt wheel first: {error}", file=sys.stderr)
        return 1
    status = _wazcache.status("gofmt.wasm")
    if not status.precompiled:
        print(f"demo.py: gofmt.wasm is not precompiled: {status.reason}", file=sys.stderr)
        return 1
    print(f"gofmt.wasm is precompiled: {status.artifact}")

    import_a, total_a, formatted_a = run_child("installed")
    import_b, total_b, formatted_b = run_child("compile")
    if formatted_a != formatted_b:
        print("demo.py: the artifact and gofmt.wasm gave different results", file=sys.stderr)
        return 1
    print(f"with the artifact:  {total_a:6.3f} s ({import_a:.3f} s of it import wasmtime)")
    print(f"compiling at start: {total_b:6.3f} s ({import_b:.3f} s of it import wasmtime)")
    print(f"factor:             {total_b / total_a:6.1f}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
    else:
        sys.exit(main())
