"""Finds the installed wasmtime and reads its version, without importing it."""

from __future__ import annotations

import mmap
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WasmtimeError, WazcacheError

if TYPE_CHECKING:
    from hatch_wazcache.engine.targets import System

__all__ = ["Engine", "InstalledWasmtime", "Notes", "installed_wasmtime"]


class Notes(Protocol):
    """Remembers short texts from one build to the next; a cache directory does it."""

    def recall(self, name: str) -> str | None:
        """Return the text that was noted under this name, or None."""

    def remember(self, name: str, value: str) -> None:
        """Note a text without spaces under a name; an empty name notes nothing."""


class Engine(NamedTuple):
    """The wasmtime that artifacts are compiled for: an installed wasmtime-py with its library."""

    version: str
    """The engine's own version, which artifacts depend on. Wheel 50.0.1 has engine 50.0.0."""
    distribution_version: str
    """The version of wasmtime-py's wheel, which a requirement names."""
    package: Path
    """The folder `wasmtime` in site-packages."""
    library_id: str
    """The SHA-256 of the library as the wheel's RECORD gives it; empty without a RECORD."""
    musl: bool
    """Whether the wheel is one for musl."""

    def triple(self, system: System) -> str:
        """Return the triple to compile for.

        A musl build of wasmtime-py knows only the musl triple of its own system.
        """
        if self.musl and system == native_system():
            return system.musl_triple or system.triple
        return system.triple


class InstalledWasmtime(NamedTuple):
    """The wasmtime that this Python would import, before its library is read."""

    version: str
    """The version of the wheel."""
    library: Path
    library_id: str
    """As for `Engine`."""
    musl: bool
    """As for `Engine`."""

    @property
    def package(self) -> Path:
        """The folder `wasmtime` in site-packages, which holds the folder of the library."""
        return self.library.parent.parent

    def engine(self, notes: Notes | None = None) -> Engine:
        """Return the engine, with the version that its library states.

        Args:
            notes: remembers the version, since reading it takes 20 ms.

        Raises:
            WazcacheError: the library does not belong to the wheel's version.
        """
        version = notes.recall(self.library_id) if notes else None
        if version is None:
            version = self._read_version()
            if notes:
                notes.remember(self.library_id, version)
        return Engine(version, self.version, self.package, self.library_id, self.musl)

    def _read_version(self) -> str:
        """Read the engine's version from the library, where it is a bare string."""
        major = self.version.partition(".")[0]
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
        if self.version in found:
            return self.version
        raise WazcacheError(
            f"wasmtime {self.version} is installed, but {self.library} does not say that it is of "
            f"version {major}; install wasmtime again"
        )


def installed_wasmtime() -> InstalledWasmtime:
    """Find the installed wasmtime without importing it.

    Raises:
        WazcacheError: wasmtime is not installed, or its library is missing or another one.
    """
    from importlib.metadata import distributions

    distribution = next(iter(distributions(name="wasmtime")), None)
    if distribution is None:
        raise WasmtimeError(
            "wasmtime is not installed in this environment",
            "install the one that your project needs "
            '(pip install "wasmtime>=48,<49"); a build with isolation does that by itself',
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
    return InstalledWasmtime(distribution.version, library, record[1] if record else "", musl)
