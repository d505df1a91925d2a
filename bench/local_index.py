"""A folder of tiny wheels: wasmtime in each published version, and packages that require it.

Installers resolve the packages from this folder alone. The wheels hold only metadata; that of the
companions is what a build writes.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.version import Version

from hatch_wazcache.engine.targets import native_target
from hatch_wazcache.wheels.companion_files import (
    companion_metadata,
    companion_version,
    file_prefix,
    wheel_file,
    write_version_0,
)

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
        _write(folder, "wasmtime", str(version))
    for package in packages():
        if way == "one major":
            pinned = [package.pin] if len(package.majors) > 1 else [str(package.requirement)]
            _write(folder, package.name, "1.0.0", pinned)
        elif way == "companions":
            companion = f"{package.name}-wasmtime"
            # hatchling sorts them, and their order counts for uv.
            _write(folder, package.name, "1.0.0", sorted([str(package.requirement), companion]))
            write_version_0(companion, folder)
            for major in package.engines:
                metadata = companion_metadata(companion, package.name, "1.0.0", f"{major}.0.0", {})
                tags = ".".join(native_target().platform_tags)
                _write_wheel(folder, companion, companion_version(major, "1.0.0"), metadata, tags)
        else:  # artifacts for several engines in one wheel change no requirement
            _write(folder, package.name, "1.0.0", [str(package.requirement)])


def _one_major(major: int) -> str:
    return f"wasmtime>={major},<{major + 1}"


def _write(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> None:
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    _write_wheel(folder, name, version, "".join(f"{line}\n" for line in lines).encode())


def _write_wheel(
    folder: Path, name: str, version: str, metadata: bytes, platform: str = "any"
) -> None:
    """Write a wheel that holds only its metadata."""
    prefix, tag = file_prefix(name, version), f"py3-none-{platform}"
    info = f"{prefix}.dist-info"
    with zipfile.ZipFile(folder / f"{prefix}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", wheel_file(tag))
        wheel.writestr(f"{info}/RECORD", "")
