"""Small wheels that pass for wasmtime's, and the configuration with which installers see them."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pytest
from uv import find_uv_bin

from hatch_wazcache.engine.installed import library_in_wheel

LIBRARY = library_in_wheel()
FILES = {"wasmtime/__init__.py": b"", "wasmtime/_ffi.py": b"1\n", LIBRARY: b"\x0048.0.0\0"}


def wheel(
    folder: Path,
    version: str = "48.0.0",
    files: Mapping[str, bytes] = FILES,
    *,
    name: str = "wasmtime",
    wrong: Collection[str] = (),
    without: Collection[str] = (),
    rows: Iterable[str] = (),
    metadata: str = "",
) -> Path:
    """Write a wheel.

    Args:
        folder: where to; it is created.
        version: its version.
        files: its files, without those of its .dist-info.
        name: its distribution.
        wrong: files whose digest in RECORD is of other bytes.
        without: files that RECORD does not list.
        rows: more rows of RECORD.
        metadata: more lines of METADATA.
    """
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"{name.replace('-', '_')}-{version}"
    info = f"{prefix}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
    tag = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: py3-none-any\n"
    content = {**files, f"{info}/METADATA": head.encode(), f"{info}/WHEEL": tag.encode()}
    lines = [_row(path, data + b"!" * (path in wrong), len(data)) for path, data in content.items()]
    kept = [line for line in lines if line.partition(",")[0] not in without]
    record = "".join(f"{line}\n" for line in [*kept, *rows, f"{info}/RECORD,,"])
    path = folder / f"{prefix}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in {**content, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(member), data)
    return path


def _row(path: str, data: bytes, size: int) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{size}"


class Installers:
    """Chooses the installer of a test, and shows it the wheels of a folder only."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        self.links = folder / "links"
        self._monkeypatch = monkeypatch
        self._folder = folder
        self.choose(name)

    def choose(self, name: str) -> None:
        """Let uv or pip be the installer."""
        self.name = name
        self._monkeypatch.setenv("UV", find_uv_bin() if name == "uv" else "")
        path = [folder for folder in os.get_exec_path() if not os.path.exists(f"{folder}/uv")]
        self._monkeypatch.setenv("PATH", os.pathsep.join(path))

    def offline(self, uv: str = "", pip: str = "") -> None:
        """Forbid the index; the rest is more configuration of each."""
        links = str(self.links)
        self.configure(
            f"no-index = true\nfind-links = [{links!r}]\n{uv}",
            f"[global]\nno-index = true\nfind-links = {links}\n{pip}",
        )

    def configure(self, uv: str, pip: str) -> None:
        """Give both a configuration file."""
        for name, text in (("UV_CONFIG_FILE", uv), ("PIP_CONFIG_FILE", pip)):
            path = self._folder / f"{name}.toml"
            path.write_text(text, "utf-8")
            self._monkeypatch.setenv(name, str(path))
        for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_INDEX_URL", "UV_FIND_LINKS"):
            self._monkeypatch.delenv(name, raising=False)
