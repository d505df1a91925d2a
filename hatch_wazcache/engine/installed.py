"""Finds the installed wasmtime and reads its version, without importing it."""

from __future__ import annotations

import mmap
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from hatch_wazcache.engine.targets import System

__all__ = ["InstalledEngine", "installed_engine"]


class InstalledEngine(NamedTuple):
    """The wasmtime that this Python would import."""

    distribution_version: str
    """The wheel's version, which a requirement speaks of."""
    library: Path
    library_id: str
    """Names the library's bytes: the digest that the wheel's own RECORD gives; else empty."""
    musl: bool
    """Whether it is a wheel for musl."""

    @property
    def package(self) -> Path:
        """Its folder, which holds the library's."""
        return self.library.parent.parent

    def triple(self, system: System) -> str:
        """Return the triple to compile for; this machine's own is the one this wasmtime knows."""
        if self.musl and system == native_system():
            return system.musl_triple or system.triple
        return system.triple

    def read_version(self) -> str:
        """Read the engine's own version out of the library.

        It is not always the wheel's: 50.0.1 has 50.0.0. It stands in the library as a bare string.

        Raises:
            WazcacheError: it is not there, so the library is of another version than the wheel.
        """
        major = self.distribution_version.partition(".")[0]
        pattern = re.compile(rb"(?<![\d.-])%s\.\d+\.\d+(?![\d.])" % re.escape(major.encode()))
        needle = f"{major}.".encode()
        found: set[str] = set()
        with (
            self.library.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            at = data.find(needle)
            while at != -1:
                if match := pattern.match(data, at):
                    found.add(match.group().decode())
                at = data.find(needle, at + 1)
        if len(found) == 1:
            return found.pop()
        if self.distribution_version in found:
            return self.distribution_version
        raise WazcacheError(
            f"wasmtime {self.distribution_version} is installed, but {self.library} does not say "
            f"that it is of version {major}; install wasmtime again"
        )


def installed_engine() -> InstalledEngine:
    """Find the installed wasmtime without importing it.

    Raises:
        WazcacheError: none is installed, or its library is missing or not its own.
    """
    from importlib.metadata import distributions

    distribution = next(iter(distributions(name="wasmtime")), None)
    if distribution is None:
        raise WazcacheError(
            "wasmtime is not installed in this environment; install the one that your project "
            'needs (pip install "wasmtime>=48,<49"); a build with isolation does that by itself'
        )
    name = {"win32": "_wasmtime.dll", "darwin": "_libwasmtime.dylib"}.get(
        sys.platform, "_libwasmtime.so"
    )
    system = native_system()
    folder = f"{sys.platform}-{system.arch if system else '?'}"
    library = Path(str(distribution.locate_file("wasmtime"))) / folder / name
    if not library.is_file():
        raise WazcacheError(
            f"wasmtime {distribution.version} is installed without its library for this machine "
            f"({library} is missing); install wasmtime again"
        )
    record = re.search(
        rf"^wasmtime/{re.escape(folder)}/{re.escape(name)},(sha256=[\w-]+),(\d+)",
        distribution.read_text("RECORD") or "",
        re.MULTILINE,
    )
    if record and library.stat().st_size != int(record[2]):
        raise WazcacheError(
            f"wasmtime {distribution.version} is installed, but {library} is another library than "
            "that version came with; install wasmtime again"
        )
    musl = "musllinux" in (distribution.read_text("WHEEL") or "")
    return InstalledEngine(distribution.version, library, record[1] if record else "", musl)
