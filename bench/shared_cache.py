"""The shared cache: builds of a second machine, and the cost of a server that does not help.

The servers run on this machine, so their network is as fast as memory.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from bench.measure import Figures, alternately, child, run
from bench.projects import Projects
from bench.rows import Row, Sample
from hatch_wazcache.cache.remote.keys import SigningKey
from tests.support.remote_servers import Access, nginx, s3
from tests.support.server_programs import CannotSetUpError

__all__ = ["shared_cache_rows", "useless_server_rows"]

_KEY = SigningKey(bytes(range(32)))
_MB = 1e6
_SERVERS = {"S3": s3, "HTTP": nginx}


def shared_cache_rows(projects: Projects, work: Path, *, quick: bool) -> Iterator[Row]:
    """Build with an empty cache and a shared one, by compiling, and with an entry that `cp` copied.

    Args:
        projects: the projects of the input.
        work: a new folder for the servers.
        quick: few rounds, so that the figures are rough.
    """
    projects.forget()  # what other goals have compiled for other systems
    projects.build("ours")
    kept = work / "kept"
    shutil.copytree(projects.cache, kept)
    rounds = 1 if quick else 5
    cold = {"compiled": partial(projects.cold, "ours")}
    alone = alternately(1 if quick else 3, cold)["compiled", "whole"]
    for name, begin in _SERVERS.items():
        folder = work / name
        folder.mkdir()
        try:
            with begin(folder, None) as server:
                writer, reader = _writes(server.writer), _reads(server.reader)
                peaks = {"upload": _peak(projects, writer), "download": _peak(projects, reader)}
                assert "1 from the shared cache" in _output(projects, reader)
                took = alternately(
                    rounds,
                    {
                        "shared": partial(_second_machine, projects, reader),
                        "copied": partial(_copied, projects, kept),
                    },
                )
        except CannotSetUpError as error:
            print(error, file=sys.stderr)
            return
        ours, copied = took["shared", "whole"], took["copied", "whole"]
        row = partial(Row, 13, projects.input.name, f"empty cache, the entry from {name}", ours)
        ratio = Sample((alone.median / ours.median,))
        yield row("compiled", alone, ratio, "s", 1.0)
        more = ours.less(copied)
        yield row("the entry copied by `cp`", copied, more, "s", figure_unit="s more")
        for what, peak in peaks.items():
            said = f"memory of the building process, {what} by {name}"
            yield Row(13, projects.input.name, said, peak, "", None, peak, "MB", None, 120.0)


def useless_server_rows(work: Path, *, quick: bool) -> Iterator[Row]:
    """Ask servers that have nothing, that are down, and that are silent.

    Args:
        work: a new folder for the servers.
        quick: ask for fewer assets.
    """
    count = 100 if quick else 1000
    row = partial(Row, 13, f"{count:,} artifacts")
    for name, begin in _SERVERS.items():
        folder = work / f"empty {name}".replace(" ", "-")
        folder.mkdir(parents=True)
        try:
            with begin(folder, None) as server:
                each = _ask(server.reader, count)
        except CannotSetUpError as error:
            print(error, file=sys.stderr)
            return
        figure = each.times(1000 / count)
        what = f"asking a server that has nothing, {name}"
        yield row(what, each, "", None, figure, "s", figure_unit="ms for each")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not quick:
            took = _ask(Access(f"http://127.0.0.1:{port}", {}), count, rounds=1)
            what = "asking a server that is silent, HTTP"
            yield row(what, took, "", None, took, "s", figure_unit="s")
    took = _ask(Access(f"http://127.0.0.1:{port}", {}), count)
    yield row("asking a server that is down, HTTP", took, "", None, took, "s", figure_unit="s")


def _ask(access: Access, count: int, rounds: int = 5) -> Sample:
    ask = partial(child, "ask", access.url, str(count), **access.environment)
    return alternately(rounds, {"": ask})["", "ask"]


def _reads(access: Access) -> dict[str, str]:
    remote = {"WAZCACHE_REMOTE": access.url, "WAZCACHE_TRUSTED_KEYS": _KEY.public}
    return {**access.environment, **remote}


def _writes(access: Access) -> dict[str, str]:
    writes = {"WAZCACHE_REMOTE_MODE": "read-write", "WAZCACHE_SIGNING_KEY": _KEY.text}
    return {**_reads(access), **writes}


def _output(projects: Projects, env: Mapping[str, str]) -> str:
    """Build with an empty cache, and return what the build says."""
    projects.forget()
    return subprocess.run(
        projects.words("ours"), env={**os.environ, **projects.env, **env},
        cwd=projects.root("ours"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=True,
    ).stdout  # fmt: skip


def _peak(projects: Projects, env: Mapping[str, str]) -> Sample:
    """Build with an empty local cache, and return the peak memory in MB."""
    projects.forget()
    words = ("hatchling", projects.root("ours"), projects.dist("ours"), "once")
    return Sample((child(*words, **projects.env, **env)["peak"] / _MB,))


def _second_machine(projects: Projects, env: Mapping[str, str]) -> Figures:
    projects.forget()
    return run(projects.words("ours"), {**projects.env, **env}, projects.root("ours"))


def _copied(projects: Projects, kept: Path) -> Figures:
    """Copy the artifact's entry into an empty cache by `cp`, and build."""
    projects.forget()
    projects.cache.mkdir(mode=0o700)
    (scope,) = kept.glob("wasmtime-*")
    copy = run(["cp", "-r", scope, projects.cache])
    return {"whole": copy["whole"] + projects.build("ours")["whole"]}
