"""Reads the header of an artifact: its kind, the engine that made it, its target and flags.

It needs no wasmtime and does not trust the file. An artifact is an ELF file. Its section
`.wasmtime.engine` holds the engine's version, the target and the compiler's flags, each with its
name. The other settings, such as the wasm features, have no names, and their order differs between
versions.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hatch_wazcache.formats.sections import Kind

__all__ = ["ArtifactHeader", "BrokenArtifactError", "FlagValue", "is_artifact", "read_artifact"]

FlagValue = bool | int | str

# https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html; wasmtime's own values are in its
# crates/environ/src/obj.rs and crates/wasmtime/src/engine/serialization.rs.
_MAGIC = b"\x7fELF"
_CLASS_64 = 2
_ORDERS = {1: "<", 2: ">"}
_OSABI_WASMTIME = 0xC8
_KINDS: dict[int, Kind] = {1: "module", 2: "component"}
_MACHINES = {22: "s390x", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_HEADER = "16sHHIQQQIHHHHHH"
_SECTION = "IIQQQQIIQQ"
_NOBITS = 8
_ENGINE_SECTION = b".wasmtime.engine"
_ADDRESS_MAP_SECTION = b".wasmtime.addrmap"
_FORMAT = 0

# A real artifact has 13 sections, 160 bytes of names and 1.1 kB about the engine.
_MOST_SECTIONS = 1000
_LARGEST_SECTION = 1 << 16

_SYSTEMS = {"linux": "linux", "darwin": "macos", "macosx": "macos", "windows": "windows"}


# The settings that the artifacts of every wasmtime name: Cranelift's flag, and its value without
# the setting. wasmtime does not check these when it loads an artifact.
_SETTINGS: dict[str, tuple[str, FlagValue]] = {
    "cranelift-debug-verifier": ("enable_verifier", False),
    "cranelift-nan-canonicalization": ("enable_nan_canonicalization", False),
    "cranelift-opt-level": ("opt_level", "speed"),
    "native-unwind-info": ("unwind_info", True),
    "address-map": ("", True),
}


class BrokenArtifactError(Exception):
    """The file is not a complete artifact; the message says why, without the file's name."""


class ArtifactHeader(NamedTuple):
    """The facts that an artifact states about itself."""

    kind: Kind
    arch: str
    """As in a target's name."""
    system: str
    """As in a target's name; for other systems, the last word of the triple."""
    triple: str
    version: str
    """The engine's version; from wasmtime 38 on only its major version."""
    address_map: bool
    """Whether it maps a trap to an instruction of the `.wasm`."""
    flags: Mapping[str, FlagValue]
    """Cranelift's flags: the general ones, and those of the architecture (CPU features)."""

    @property
    def target(self) -> str:
        """The name of the system that it was compiled for."""
        return f"{self.arch}-{self.system}"

    @property
    def cpu_flags(self) -> frozenset[str]:
        """Cranelift's names of the CPU features that it uses."""
        return frozenset(name for name, value in self.flags.items() if name[:4] == "has_" and value)

    def differing_settings(
        self, settings: Mapping[str, FlagValue]
    ) -> Iterator[tuple[str, FlagValue, FlagValue]]:
        """Yield each named setting that differs: its name, its value here, and its value there.

        Args:
            settings: the settings that the compiler got, by their names in the options.
        """
        for name, (flag, default) in _SETTINGS.items():
            value = self.address_map if name == "address-map" else self.flags.get(flag)
            listed = settings.get(name, default)
            if value not in (None, listed):
                yield name, value, listed

    def made_by(self, engine: str) -> bool:
        """Say whether an engine of this version may have made it, by its major version."""
        return self.version in (engine, engine.partition(".")[0])


def is_artifact(path: Path) -> bool:
    """Say whether a file begins like an artifact of any version."""
    with path.open("rb") as file:
        head = file.read(8)
    return head[:4] == _MAGIC and head[7:] == bytes([_OSABI_WASMTIME])


def read_artifact(file: BinaryIO, size: int) -> ArtifactHeader:
    """Read an artifact's header.

    Args:
        file: a seekable file; about 2 kB of it are read, at its beginning and near its end.
        size: the size of the file in bytes.

    Raises:
        BrokenArtifactError: the file is not an artifact, or was cut short.
        OSError: the file cannot be read.
    """
    head = _read(file, size, 0, struct.calcsize(f"<{_HEADER}"))
    order = _ORDERS.get(head[5])
    if head[:4] != _MAGIC or head[4] != _CLASS_64 or order is None:
        raise BrokenArtifactError("it is not a 64-bit ELF file")
    (_, _, machine, _, _, _, start, flags, _, _, _, each, count, names) = struct.unpack(
        f"{order}{_HEADER}", head
    )
    if head[7] != _OSABI_WASMTIME:
        raise BrokenArtifactError("it is an ELF file, but not from wasmtime")
    if (kind := _KINDS.get(flags)) is None:  # bytecode for wasmtime's interpreter has other values
        raise BrokenArtifactError("it is from wasmtime, but has no machine code")
    if each != struct.calcsize(f"<{_SECTION}") or names >= count or count > _MOST_SECTIONS:
        raise BrokenArtifactError("its table of sections is damaged")
    table = _read(file, size, start, each * count)
    sections = list(struct.iter_unpack(f"{order}{_SECTION}", table))
    for section in sections:
        if section[1] != _NOBITS and section[4] + section[5] > size:
            raise BrokenArtifactError(_CUT)
    named = _named(file, size, sections, names)
    if _ENGINE_SECTION not in named:
        raise BrokenArtifactError("it does not name the engine that made it")
    version, triple, all_flags = _engine(_section(file, size, named[_ENGINE_SECTION]))
    arch = triple.partition("-")[0].replace("riscv64gc", "riscv64")
    if _MACHINES.get(machine, arch) != arch:
        raise BrokenArtifactError(f"its code is for {_MACHINES[machine]}, but it says {triple}")
    return ArtifactHeader(
        kind, arch, _system(triple), triple, version, _ADDRESS_MAP_SECTION in named, all_flags
    )


_CUT = "it is cut short, or damaged: a section lies beyond its end"


def _read(file: BinaryIO, size: int, start: int, length: int) -> bytes:
    if start + length > size:
        raise BrokenArtifactError(_CUT)
    file.seek(start)
    data = file.read(length)
    if len(data) != length:
        raise BrokenArtifactError(_CUT)
    return data


def _named(
    file: BinaryIO, size: int, sections: list[tuple[int, ...]], names: int
) -> dict[bytes, tuple[int, ...]]:
    text = _section(file, size, sections[names])
    return {text[section[0] :].partition(b"\0")[0]: section for section in sections}


def _section(file: BinaryIO, size: int, section: tuple[int, ...]) -> bytes:
    if section[5] > _LARGEST_SECTION:
        raise BrokenArtifactError("its table of sections is damaged")
    return _read(file, size, section[4], section[5])


def _engine(data: bytes) -> tuple[str, str, dict[str, FlagValue]]:
    """Decode version, triple and flags at the section's beginning."""
    if data[:1] != bytes([_FORMAT]):
        raise BrokenArtifactError("its description of the engine has an unknown format")
    words = _Words(data, 1)
    version = words.text()
    triple = words.text()
    flags: dict[str, FlagValue] = {}
    for _list in range(2):
        for _flag in range(words.number()):
            name = words.text()
            if not name.isidentifier():  # it may become an argument of a compiler
                raise BrokenArtifactError("its description of the engine is damaged")
            flags[name] = words.flag()
    return version, triple, flags


class _Words:
    """Reads values one after the other: https://postcard.jamesmunns.com/wire-format."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, length: int) -> bytes:
        taken = self._data[self._at : self._at + length]
        if len(taken) != length:
            raise BrokenArtifactError("its description of the engine is damaged")
        self._at += length
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise BrokenArtifactError("its description of the engine is damaged")

    def text(self) -> str:
        try:
            text = self.take(self.number()).decode()
        except UnicodeDecodeError:
            text = ""
        if not text.isprintable() or not text:
            raise BrokenArtifactError("its description of the engine is damaged")
        return text

    def flag(self) -> FlagValue:
        variant = self.byte()
        if variant == 0:
            return self.text()
        if variant in (1, 2):
            value = self.byte()
            return value if variant == 1 else bool(value)
        raise BrokenArtifactError("its description of the engine is damaged")


def _system(triple: str) -> str:
    words = triple.split("-")
    return next((_SYSTEMS[word] for word in words if word in _SYSTEMS), words[-1])
