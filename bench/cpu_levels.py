"""What a CPU level is worth: the seconds that real programs run, compiled for each level."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.inputs import yosys_share
from bench.measure import alternately, run
from bench.projects import Projects
from bench.rows import Row

__all__ = ["CODEC", "cpu_level_rows"]

HERE = Path(__file__).parent
_CHILD = HERE / "wasi_child.py"
_PROGRAMS = HERE / "cpu_programs"
_BASELINE = "baseline"
_LEVELS = ("native", "x86-64-v4", "x86-64-v3", "x86-64-v2", _BASELINE)
_READ_PNG, _WRITE_PNG, _WRITE_JPEG = CODEC = (
    "png-read-image.wasi.wasm",
    "png-write-image.wasi.wasm",
    "jpeg-write-image.wasi.wasm",
)
"""The image codecs: the names of their files among the inputs."""


class _Program(NamedTuple):
    """A program to run, with its work."""

    what: str
    wasm: str
    arguments: tuple[str, ...]


def cpu_level_rows(projects: Projects, name: str, work: Path) -> Iterator[Row]:
    """Compile the files of an input for each level, and compare the runs with the baseline's.

    Args:
        projects: the projects of the input.
        name: `yosys`, `python` or `codec`.
        work: the folder for the programs and their files.
    """
    projects.options(f"cpu = {list(_LEVELS)}\n")
    package = projects.install(work / "site") / "demo"
    projects.options()
    projects.build("ours")
    files = work / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    for program in _WORK[name](package, files):
        artifacts = {level: _artifact(package, program.wasm, level) for level in _LEVELS}
        words: dict[str, list[str | Path]] = {
            level: [sys.executable, _CHILD, artifact, files, *program.arguments]
            for level, artifact in artifacts.items()
            if _can_run(artifact)
        }
        took = alternately(9, {level: partial(run, words[level]) for level in words})
        baseline = took[_BASELINE, "run"]
        for level in reversed([level for level in words if level != _BASELINE]):
            ours = took[level, "run"]
            yield Row(17, projects.input.name, f"{program.what}, {level}", ours, _BASELINE,
                      baseline, ours.over(baseline), "s")  # fmt: skip


def _artifact(package: Path, wasm: str, level: str) -> Path:
    middle = "" if level == _BASELINE else f".{level}"
    return package / f"{wasm.removesuffix('.wasm')}.x86_64-linux{middle}.cwasm"


def _can_run(artifact: Path) -> bool:
    """Say whether this machine's CPU has the level of an artifact."""
    import wasmtime

    try:
        wasmtime.Module.deserialize_file(wasmtime.Engine(), str(artifact))
    except wasmtime.WasmtimeError as error:
        print(f"left out, this CPU cannot run {artifact.name}: {error}", file=sys.stderr)
        return False
    return True


def _synthesis(_package: Path, files: Path) -> list[_Program]:
    (files / "tmp").mkdir()
    shutil.copytree(yosys_share(), files / "share")
    shutil.copy(_PROGRAMS / "core.v", files)
    script = "read_verilog /core.v; synth -flatten -top core; write_verilog /out.v"
    return [_Program("synthesis of a processor", "yosys.wasm", ("-q", "-p", script))]


def _interpreter(_package: Path, files: Path) -> list[_Program]:
    name = "objects_and_numbers.py"
    shutil.copy(_PROGRAMS / name, files)
    return [_Program("objects and numbers", "python.wasm", (f"/{name}",))]


def _codec(package: Path, files: Path) -> list[_Program]:
    _draw(files / "picture.png")
    read = _artifact(package, _READ_PNG, _BASELINE)
    picture = ("/could.json", "/picture.iwi.cbor")
    run([sys.executable, _CHILD, read, files, "/picture.png", *picture])
    return [
        _Program("writing a PNG", _WRITE_PNG, (picture[1], picture[0], "/written.png")),
        _Program("writing a JPEG", _WRITE_JPEG, (picture[1], picture[0], "/written.jpg")),
    ]


def _draw(path: Path) -> None:
    """Draw a picture of 4 megapixels: waves, and noise as a camera has it."""
    import numpy as np
    from PIL import Image

    y, x = np.mgrid[:2048, :2048]
    noise = np.random.default_rng(0).normal(0, 5, (2048, 2048, 3))
    waves = np.stack([np.sin(x / 37), np.cos(y / 23), np.sin((x + y) / 61)], axis=2)
    Image.fromarray((128 + 90 * waves + noise).astype("uint8")).save(path)


_WORK: Mapping[str, Callable[[Path, Path], list[_Program]]] = {
    "yosys": _synthesis,
    "python": _interpreter,
    "codec": _codec,
}
"""Writes the files of each input's programs, and returns the programs."""
