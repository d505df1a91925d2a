"""Compilers that die or hang: one message, and no files left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.projects import Built, Project
from tests.support.refusals import Refusing, needs_linux


def compilers(parent: int) -> Iterator[int]:
    """Find the compiler processes of a build; not one that is forked and not yet another program.

    Stopped then, it would be waited for by the build itself: for good.
    """
    build = Path(f"/proc/{parent}/cmdline").read_bytes()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            is_child = int(fields[1]) == parent and fields[0] != "Z"
            if is_child and (folder / "cmdline").read_bytes() not in (build, b""):
                yield int(folder.name)
        except (OSError, IndexError):
            continue


def build_and_signal(project: Project, number: signal.Signals, **env: str) -> Built:
    """Build, and send every compiler a signal as soon as it is there."""
    with subprocess.Popen(
        [sys.executable, *project.build_words],
        cwd=project.root, env=project.env(**env), text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as build:  # fmt: skip
        struck = set()
        while build.poll() is None:
            for compiler in compilers(build.pid):
                if compiler not in struck:
                    os.kill(compiler, number)
                    struck.add(compiler)
            time.sleep(0.002)
        assert struck
        return Built(build.returncode, build.stdout.read())


@needs_linux
def test_a_compiler_that_is_killed_is_told_with_the_likely_cause(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.refused(
        "demo/b.wasm: cannot be compiled",
        "the compiler was killed by SIGKILL, probably because memory ran out: ",
        front=lambda: build_and_signal(project, signal.SIGKILL),
    )


@needs_linux
def test_a_compiler_that_crashes_is_told_with_its_signal(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.refused(
        "demo/b.wasm: cannot be compiled",
        "the compiler died by SIGSEGV",
        front=lambda: build_and_signal(project, signal.SIGSEGV),
    )


@needs_linux
def test_a_compiler_that_hangs_is_ended_after_the_timeout(project: Refusing):
    project.wasm("demo/b.wasm", "source-map__mappings.wasm")
    project.append("timeout = 0.5\n")
    project.refused(
        "demo/b.wasm: cannot be compiled",
        "not finished after 0.5 s; to allow more time, set the option timeout or WAZCACHE_TIMEOUT",
        front=lambda: build_and_signal(project, signal.SIGSTOP),
    )


def test_a_compilation_over_the_timeout_is_ended(project: Refusing):
    project.wasm("demo/b.wasm", "sql-js__sql-wasm.wasm")
    project.refused("demo/b.wasm: ", "not finished after 0.01 s", WAZCACHE_TIMEOUT="0.01")
