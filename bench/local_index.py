"""A folder of tiny wheels: wasmtime in each published version, and packages that require it.

Installers resolve the packages from this folder alone. The wheels hold only metadata.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.version import Version

from hatch_wazcache.engine.targets import native_target

__all__ = ["WAYS", "Package", "packages", "write_index"]

CORPUS = Path(__file__).parent.parent / "corpus"
PUBLISHED = [Version(line) for line in (CORPUS / "wasmtime_versions.txt").read_text().split()]
"""The versions of wasmtime on PyPI, the oldest first."""
OLDEST_ENGINE = 36
"""The first major version of wasmtime that hatch-wazcache supports."""
ENGINES = 4
"""The number of major versions that a package has artifacts for: the newest that it admits."""

WAYS = ("as released", "one major", "engines", "companions")
"""The ways to ship: without artifacts, for one major version of wasmtime, for several in one wheel,
and for several in companions."""


class Package(NamedTuple):
    """A package on PyPI that requires wasmtime."""

    name: str
    requirement: Requirement

    @property
    def majors(self) -> list[int]:
        """The major versions that it admits, the newest first."""
        admitted = self.requirement.specifier.filter(PUBLISHED)
        return sorted({version.major for version in admitted}, reverse=True)

    @property
    def engines(self) -> list[int]:
        """The major versions that it has artifacts for."""
        return [major for major in self.majors if major >= OLDEST_ENGINE][:ENGINES]

    @property
    def pin(self) -> str:
        """The requirement on the newest major version that it admits."""
        return _one_major(self.majors[0])


def packages() -> list[Package]:
    """Return the packages, with the requirement of their latest release."""
    with (CORPUS / "requirements.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [Package(row["package"], Requirement(f"wasmtime{row['wasmtime']}")) for row in rows]


def write_index(folder: Path, way: str) -> None:
    """Write the wheels of one way into an empty folder."""
    folder.mkdir(parents=True)
    for version in PUBLISHED:
        _write_wheel(folder, "wasmtime", str(version))
    for package in packages():
        if way == "one major":
            pinned = [package.pin] if len(package.majors) > 1 else [str(package.requirement)]
            _write_wheel(folder, package.name, "1.0.0", pinned)
        elif way == "companions":
            companion = f"{package.name}-wasmtime"
            _write_wheel(folder, package.name, "1.0.0", [str(package.requirement), companion])
            _write_wheel(folder, companion, "0")
            for major in package.engines:
                requires = [f"{package.name}==1.0.0", _one_major(major)]
                tags = ".".join(native_target().platform_tags)
                _write_wheel(folder, companion, f"{major}.1.0.0", requires, tags)
        else:  # artifacts for several engines in one wheel change no requirement
            _write_wheel(folder, package.name, "1.0.0", [str(package.requirement)])


def _one_major(major: int) -> str:
    return f"wasmtime>={major},<{major + 1}"


def _write_wheel(
    folder: Path, name: str, version: str, requires: Sequence[str] = (), platform: str = "any"
) -> None:
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-{platform}.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "\n".join(_metadata(name, version, requires)) + "\n")
        tags = [f"Tag: py3-none-{tag}" for tag in platform.split(".")]
        lines = ["Wheel-Version: 1.0", "Generator: bench", "Root-Is-Purelib: true", *tags]
        wheel.writestr(f"{info}/WHEEL", "\n".join(lines) + "\n")
        rows = [f"{name},," for name in (*wheel.namelist(), f"{info}/RECORD")]
        wheel.writestr(f"{info}/RECORD", "\n".join(rows) + "\n")


def _metadata(name: str, version: str, requires: Sequence[str]) -> Iterator[str]:
    yield "Metadata-Version: 2.4"
    yield f"Name: {name}"
    yield f"Version: {version}"
    yield from (f"Requires-Dist: {line}" for line in requires)
