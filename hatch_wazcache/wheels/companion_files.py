"""The names and the .dist-info files of companion wheels, and the wheel of version 0.

A companion of `gofmt` 1.0.0 for wasmtime 48 is `gofmt-wasmtime` 48.1.0.0. It requires exactly that
package and that wasmtime, so an installer takes it only where its artifacts load. Version 0
requires nothing, so an installer takes it everywhere else.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_wazcache.engine.requirements import for_artifacts_of
from hatch_wazcache.util import temporary_files
from hatch_wazcache.util.digests import record_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "companion_metadata",
    "companion_version",
    "file_prefix",
    "requires_first",
    "version_problem",
    "wheel_file",
    "write_version_0",
]

_COPIED_FIELDS = ("License-Expression", "License", "License-File", "Requires-Python")
"""The fields of METADATA that a companion has from its package."""

_COPIED_CLASSIFIERS = ("License ::", "Private ::")
"""The beginnings of the classifiers that a companion has from its package."""

_GENERATOR = "hatch-wazcache"
"""Without a version: the same artifacts give the same wheel, whichever release packs them."""

_REQUIRES = b"Requires-Dist:"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644


def companion_version(major: int, version: str) -> str:
    """Return the version of a companion.

    Args:
        major: wasmtime's major version.
        version: the package's version, for which `version_problem` has nothing to say.
    """
    return f"{major}.{Version(version)}"


def version_problem(version: str) -> str | None:
    """Say why a package of this version can have no companions; None if it can."""
    parsed = Version(version)
    if parsed.epoch:
        why = f"it has an epoch ({parsed.epoch}!), and an epoch cannot follow wasmtime's version"
    elif parsed.local is not None:
        why = f"it has a local part (+{parsed.local}), and indexes such as PyPI refuse that"
    else:
        return None
    return (
        f"the version {version} can have no companions: a companion's version is wasmtime's major "
        f"version, a dot, and the package's version; {why}"
    )


def file_prefix(name: str, version: str) -> str:
    """Return the beginning of the names of a wheel and of its .dist-info folder."""
    return f"{canonicalize_name(name).replace('-', '_')}-{version}"


def companion_metadata(
    name: str,
    package: str,
    version: str,
    wasmtime: str,
    fields: Mapping[str, Sequence[str]],
) -> bytes:
    """Return the METADATA of a companion. It is the same for every system.

    Args:
        name: the companion's name.
        package: the package's name.
        version: the package's version.
        wasmtime: the version of the wheel of wasmtime-py that compiled the artifacts.
        fields: the package's METADATA: the values of each field, by its name in lower case.
    """
    major = Version(wasmtime).major
    address = f"https://pypi.org/project/{canonicalize_name(package)}/"
    lines = [
        f"Metadata-Version: {_first(fields, 'metadata-version') or '2.1'}",
        f"Name: {name}",
        f"Version: {companion_version(major, version)}",
        f"Summary: The WebAssembly of {package} {version}, compiled for wasmtime {major}",
    ]
    for field in _COPIED_FIELDS:
        lines += [f"{field}: {_line(value)}" for value in fields.get(field.lower(), ())]
    lines += [
        f"Classifier: {_line(value)}"
        for value in fields.get("classifier", ())
        if value.startswith(_COPIED_CLASSIFIERS)
    ]
    lines += [
        f"Requires-Dist: {package}=={version}",
        f"Requires-Dist: {Requirement(for_artifacts_of(wasmtime))}",
        "Description-Content-Type: text/markdown",
        "",
        f"Install [{package}]({address}), not this project.",
        f"{package} requires it, and pip or uv choose the version for the installed wasmtime.",
        f"It holds the WebAssembly of {package}, compiled: so {package} starts without a compiler.",
    ]
    return _text(lines)


def requires_first(metadata: bytes, name: str) -> bytes:
    """Move the requirement on a companion before the other requirements of its package.

    uv decides about requirements in their order. If it comes to wasmtime first, it takes the newest
    one, and version 0 beside it, although the one before has a companion. hatchling sorts them.

    Args:
        metadata: the package's METADATA.
        name: the companion's name.
    """
    head, blank, rest = metadata.partition(b"\n\n")
    lines = head.split(b"\n")
    mine = [line for line in lines if _requires(line, name)]
    others = [line for line in lines if line not in mine]
    first = next((n for n, line in enumerate(others) if line.startswith(_REQUIRES)), len(others))
    return b"\n".join([*others[:first], *mine, *others[first:]]) + blank + rest


def _requires(line: bytes, name: str) -> bool:
    """Say whether a line of METADATA requires a project."""
    if not line.startswith(_REQUIRES):
        return False
    try:
        required = Requirement(line[len(_REQUIRES) :].decode().strip()).name
    except (InvalidRequirement, UnicodeDecodeError):
        return False
    return canonicalize_name(required) == canonicalize_name(name)


def wheel_file(tag: str, *, pure: bool = False) -> bytes:
    """Return the WHEEL file.

    Args:
        tag: the tag in the wheel's name, which may be a compressed set of tags.
        pure: whether the wheel is for every platform.
    """
    tags = sorted(map(str, parse_tag(tag)))
    lines = ["Wheel-Version: 1.0", f"Generator: {_GENERATOR}"]
    lines += [f"Root-Is-Purelib: {'true' if pure else 'false'}", *(f"Tag: {tag}" for tag in tags)]
    return _text(lines)


def write_version_0(name: str, directory: Path) -> Path:
    """Write the companion that requires nothing and holds nothing.

    Its bytes depend on its name alone, so each build makes the file that is already on the index.
    Its members are stored, because another zlib or libdeflate may compress them differently.

    Args:
        name: the companion's name.
        directory: an existing folder for it.

    Returns:
        The wheel.

    Raises:
        OSError: it cannot be written.
    """
    prefix = file_prefix(name, "0")
    info = f"{prefix}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        "Version: 0",
        "Summary: Empty: for systems and versions of wasmtime without compiled WebAssembly",
        "Description-Content-Type: text/markdown",
        "",
        "This version is empty and requires nothing. Installers choose it where no other version",
        f"of {name} fits the system and the wasmtime. The package that requires it works there,",
        "too: it compiles its WebAssembly itself.",
    ]
    files = {"METADATA": _text(metadata), "WHEEL": wheel_file("py3-none-any", pure=True)}
    record = [
        f"{info}/{file},{record_digest(hashlib.sha256(data).hexdigest())},{len(data)}"
        for file, data in files.items()
    ]
    files["RECORD"] = _text([*record, f"{info}/RECORD,,"])
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for file, data in files.items():
            member = zipfile.ZipInfo(f"{info}/{file}", _FIRST_DAY)
            member.create_system = 3  # Unix, on every machine
            member.external_attr = _FILE_MODE << 16
            archive.writestr(member, data)
    final = directory / f"{prefix}-py3-none-any.whl"
    temporary_files.write_file(final, [wheel.getvalue()])
    return final


def _first(fields: Mapping[str, Sequence[str]], name: str) -> str:
    return next(map(_line, fields.get(name, ())), "")


def _line(value: str) -> str:
    """Return a value on one line: some readers take other characters for the end of a line."""
    return " ".join(value.split())


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
