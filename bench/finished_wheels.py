"""`hatch-wazcache compile`, compared with other programs that write a finished wheel again."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import corpus
from bench.measure import CHILD, Figures, alternately, run
from bench.projects import Projects
from bench.rows import Row, Sample

__all__ = ["finished_wheels_rows"]

_MB = 1e6
_BIN = Path(sys.executable).parent
_TAGS = "cp310-abi3-linux_x86_64"


def finished_wheels_rows(
    projects: Projects, work: Path, *, rounds: int, released: str | None
) -> Iterator[Row]:
    """Write a wheel again: with artifacts that the cache has, and by programs that add nothing.

    Args:
        projects: the projects of the input; the cache has its artifacts.
        work: the folder for the wheels.
        rounds: how many times each is timed.
        released: a package of the corpus whose wheel is compiled; None for the project's own wheel.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    if released is None:
        projects.build("wasm alone")
        wheel = Path(shutil.copy(projects.wheel("wasm alone"), work))
    else:
        about = corpus.ROWS[released]
        wheel = corpus.download(about["registry"], about["package"], about["version"], work)
    native = _with_extension_module(wheel, work / "native")
    ours = partial(_compile, projects, work)
    ours(wheel), ours(native)
    took = alternately(
        rounds,
        {
            "ours": partial(ours, wheel),
            "wheel": partial(_unpack_and_pack, wheel, work),
            "ours, native": partial(ours, native),
            "auditwheel": partial(_repair, native, work),
        },
    )
    row = partial(Row, 12, projects.input.name, "`hatch-wazcache compile` of a wheel, warm")
    mine, theirs = took["ours", "whole"], took["wheel", "whole"]
    yield row(mine, "`wheel unpack` and `wheel pack`", theirs, theirs.over(mine), "s", 1.0)
    mine, theirs = took["ours, native", "whole"], took["auditwheel", "whole"]
    what = "`auditwheel repair`, both with an extension module in the wheel"
    yield row(mine, what, theirs, theirs.over(mine), "s", 1.0)
    peak = Sample((max(took["ours", "peak"].values) / _MB,))
    yield row(peak, "", None, peak, "MB", None, 120.0)._replace(
        what="memory of `hatch-wazcache compile`, warm"
    )


def _with_extension_module(wheel: Path, folder: Path) -> Path:
    """Copy a wheel with an extension module in it: auditwheel leaves others as they are."""
    spec = importlib.util.find_spec("deflate")
    assert spec is not None
    assert spec.origin is not None
    (module,) = Path(spec.origin).parent.glob("*.so")
    unpacked = folder / "unpacked"
    _run("wheel", "unpack", "-d", unpacked, wheel)
    (root,) = unpacked.iterdir()
    (info,) = root.glob("*.dist-info")
    shutil.copy(module, root)
    text = (info / "WHEEL").read_text("utf-8")
    text = text.replace("Root-Is-Purelib: true", "Root-Is-Purelib: false")
    (info / "WHEEL").write_text(text.replace("py3-none-any", _TAGS), "utf-8")
    _run("wheel", "pack", "-d", folder, root)
    (made,) = folder.glob("*.whl")
    assert module.name in zipfile.ZipFile(made).namelist()
    return made


def _run(program: str, *words: str | Path) -> Figures:
    return run([_BIN / program, *words], {"PATH": f"{_BIN}:/usr/bin:/bin"})


def _compile(projects: Projects, work: Path, wheel: Path) -> Figures:
    words: list[str | Path] = ["compile", wheel, "--targets", "native", "-w", work / "compiled"]
    words += ["--engine", "wasmtime>=48,<49"]
    return run([sys.executable, CHILD, "command", *words], projects.env, work)


def _unpack_and_pack(wheel: Path, work: Path) -> Figures:
    folder = work / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    unpacked = _run("wheel", "unpack", "-d", folder, wheel)
    (root,) = folder.iterdir()
    packed = _run("wheel", "pack", "-d", folder, root)
    return {"whole": unpacked["whole"] + packed["whole"]}


def _repair(wheel: Path, work: Path) -> Figures:
    return _run("auditwheel", "repair", "-w", work / "repaired", wheel)
