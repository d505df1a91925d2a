"""Finds the installed wasmtime and reads its version, without importing it."""

from __future__ import annotations

import mmap
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hatch_wazcache.engine.targets import native_system
from hatch_wazcache.errors import WasmtimeError, WazcacheError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from hatch_wazcache.engine.targets import System

__all__ = [
    "Engine",
    "InstalledWasmtime",
    "Notes",
    "installed_wasmtime",
    "library_in_wheel",
    "wasmtime_at",
]


OLDEST = 36
"""The first major version of wasmtime-py that the tests cover."""

ANY_PATCH_FROM = 38
"""The first major version of wasmtime that loads the artifacts of its other patch releases."""


class Notes(Protocol):
    """Remembers short texts from one build to the next; a cache directory does it."""

    def recall(self, name: str) -> str | None:
        """Return the text that was noted under this name, or None."""

    def remember(self, name: str, value: str) -> None:
        """Note a text without spaces under a name; an empty name notes nothing."""


class Engine(NamedTuple):
    """A wasmtime that artifacts are compiled for: wasmtime-py with its library."""

    version: str
    """The engine's own version, which artifacts depend on. Wheel 50.0.1 has engine 50.0.0."""
    distribution_version: str
    """The version of wasmtime-py's wheel, which a requirement names."""
    package: Path
    """The folder `wasmtime` in site-packages, or in the folder that it was fetched into."""
    library_id: str
    """The SHA-256 of the library as the wheel's RECORD gives it; empty without a RECORD."""
    musl: bool
    """Whether the wheel is one for musl."""

    @property
    def major(self) -> int:
        """The major version: wasmtime loads the artifacts of its own."""
        return int(self.version.partition(".")[0])

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
    package: Path
    """The folder `wasmtime` in site-packages."""
    library: Path
    library_id: str
    """The library's SHA-256 as RECORD writes it; empty if it is not known without reading it."""
    musl: bool
    """As for `Engine`."""

    @property
    def age_warning(self) -> str:
        """A warning if no test covers this version; otherwise an empty string."""
        major = self.version.partition(".")[0]
        if not major.isdecimal() or int(major) >= OLDEST:
            return ""
        return (
            f"wasmtime {self.version} is installed, but hatch-wazcache is tested only with "
            f"wasmtime {OLDEST} and later"
        )

    def engine(self, notes: Notes | None = None) -> Engine:
        """Return the engine, with the version that its library states.

        Args:
            notes: remembers the version, because reading it needs 20 ms.

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
            f"wasmtime {self.version} is there, but its library {self.library} is not of version "
            f"{major}; install wasmtime again, or if the build has fetched it, delete "
            f"{self.package.parent}"
        )


def installed_wasmtime() -> InstalledWasmtime:
    """Find the installed wasmtime without importing it in this process.

    Raises:
        WazcacheError: wasmtime is not installed, is damaged, or has no library for this machine.
    """
    from importlib.metadata import distributions

    distribution = next(iter(distributions(name="wasmtime")), None)
    if distribution is None:
        raise WasmtimeError(
            "wasmtime is not installed in this environment",
            "install the one that your project needs "
            '(pip install "wasmtime>=48,<49"); a build with isolation does that by itself',
        )
    try:
        return _describe(distribution) or _with_library_elsewhere(distribution)
    except UnicodeDecodeError as error:
        folder = distribution.locate_file("")
        raise WazcacheError(
            f"a file in the .dist-info of wasmtime in {folder} is damaged ({error.reason}); "
            "install wasmtime again"
        ) from error


def wasmtime_at(folder: Path) -> InstalledWasmtime:
    """Describe the wasmtime whose wheel is unpacked in a folder, without importing it.

    Args:
        folder: holds `wasmtime` and its `.dist-info`, as in site-packages.

    Raises:
        WazcacheError: there is none, or it has no library for this machine.
    """
    from importlib.metadata import distributions

    distribution = next(iter(distributions(name="wasmtime", path=[str(folder)])), None)
    wasmtime = None
    with suppress(UnicodeDecodeError):  # a damaged file
        wasmtime = None if distribution is None else _describe(distribution)
    if wasmtime is None:
        raise WazcacheError(f"{folder} holds no wasmtime for this machine; delete the folder")
    return wasmtime


def library_in_wheel() -> str:
    """Return the path of the library for this machine in a wheel of wasmtime-py."""
    name = {"win32": "_wasmtime.dll", "darwin": "_libwasmtime.dylib"}.get(
        sys.platform, "_libwasmtime.so"
    )
    system = native_system()
    return f"wasmtime/{sys.platform}-{system.arch if system else '?'}/{name}"


def _describe(distribution: Distribution) -> InstalledWasmtime | None:
    """Describe a wasmtime that has its library where the wheel has it; None if it has not."""
    path = library_in_wheel()
    library = Path(str(distribution.locate_file(path)))
    if not library.is_file():
        return None
    record = re.search(
        rf"^{re.escape(path)},(sha256=[\w-]+),(\d+)",
        distribution.read_text("RECORD") or "",
        re.MULTILINE,
    )
    # Packagers may strip or patch the library; RECORD then still has the old digest.
    is_original = record is not None and library.stat().st_size == int(record[2])
    library_id = record[1] if record and is_original else ""
    package = Path(str(distribution.locate_file("wasmtime")))
    return InstalledWasmtime(
        distribution.version, package, library, library_id, _is_for_musl(distribution)
    )


def _with_library_elsewhere(distribution: Distribution) -> InstalledWasmtime:
    version, package = distribution.version, Path(str(distribution.locate_file("wasmtime")))
    library = _ask_for_library(version, package)
    return InstalledWasmtime(version, package, library, "", _is_for_musl(distribution))


def _is_for_musl(distribution: Distribution) -> bool:
    return "musllinux" in (distribution.read_text("WHEEL") or "")


_FIND_LIBRARY = """\
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
from wasmtime._ffi import dll
path = dll._name
if not os.path.isabs(path):  # the system's dynamic linker has found it
    name = os.path.basename(path)
    with open("/proc/self/maps") as maps:
        paths = [line.split(None, 5)[-1].rstrip() for line in maps]
    path = next(path for path in paths if os.path.basename(path).startswith(name))
print(path)
"""


def _ask_for_library(version: str, package: Path) -> Path:
    """Import wasmtime in a child process and return the library that it has loaded.

    Packages of Linux distributions may have the library in another folder.
    """
    import json
    import subprocess

    from hatch_wazcache.util.child_process import import_path, isolated, python_executable
    from hatch_wazcache.util.environment import without_secrets

    python = python_executable()
    if python is None:
        raise WazcacheError(f"wasmtime {version} is installed without its library in {package}")
    path = json.dumps([str(package.parent), *import_path()])
    done = subprocess.run(
        [*isolated(python), "-c", _FIND_LIBRARY, path],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=without_secrets(),
    )
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}"
        raise WazcacheError(
            f"wasmtime {version} is installed in {package.parent}, but cannot be imported on this "
            f"machine ({reason}); install wasmtime again"
        )
    return Path(done.stdout.strip())
