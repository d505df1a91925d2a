"""The key of an entry: the digest of everything that decides its bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hatch_wazcache.formats.zip_members import KEPT_BY

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ArtifactKey", "SourceKey", "digest_of", "scope_pattern"]

_SCHEMA = 1
"""Raise it by one when older entries must become misses."""

_SOURCES = "sources"
"""The scope of the assets' compressed `.wasm` files."""


@dataclass(frozen=True)
class ArtifactKey:
    """Everything that decides the bytes of an artifact and of its compressed stream.

    The compiler is not part of it: wasmtime-py and the wasmtime CLI make the same bytes.
    """

    wasm: str
    """The SHA-256 of the `.wasm`, hexadecimal."""
    engine: str
    """wasmtime's own version, all three numbers: patch releases change the generated code too."""
    target: str
    triple: str
    """Part of the artifact's bytes. Artifacts for glibc and musl differ, but load on both."""
    cpu: str
    """A CPU level's name; or `native` and the name of this machine's CPU."""
    cpu_flags: tuple[str, ...]
    settings: Mapping[str, bool | int | str]
    """The settings that decide the code."""
    strip: tuple[str, ...] = ()
    """The sections that are removed before compiling, in the order of `STRIP`."""

    @property
    def scope(self) -> str:
        return f"wasmtime-{self.engine}-{self.target}"

    @cached_property
    def digest(self) -> str:
        return digest_of(self.inputs())

    @property
    def is_for_one_machine(self) -> bool:
        """Whether the artifact is for the CPU of one machine. Others must not get it.

        The name of a CPU does not tell all: a virtual machine may lack features of its CPU.
        """
        return self.cpu.startswith("native")

    @property
    def compiler_triple(self) -> str | None:
        """The triple for the compiler; None for this machine's CPU, which the compiler detects."""
        return None if self.is_for_one_machine else self.triple

    def inputs(self) -> dict[str, object]:
        """Return the inputs of the digest, as an entry stores them."""
        return {
            "schema": _SCHEMA,
            "wasm": self.wasm,
            "engine": self.engine,
            "target": self.target,
            "triple": self.triple,
            "cpu": self.cpu,
            "cpu-flags": list(self.cpu_flags),
            "settings": dict(sorted(self.settings.items())),
            "strip": list(self.strip),
            "deflate": KEPT_BY,
        }


@dataclass(frozen=True)
class SourceKey:
    """The key of an asset's compressed `.wasm`, which every wheel contains."""

    wasm: str

    @property
    def scope(self) -> str:
        return _SOURCES

    @cached_property
    def digest(self) -> str:
        return digest_of(self.inputs())

    def inputs(self) -> dict[str, object]:
        """Return the inputs of the digest, as an entry stores them."""
        return {"schema": _SCHEMA, "wasm": self.wasm, "deflate": KEPT_BY}


def scope_pattern(major: str, system: str) -> str:
    """Return a pattern for the scopes of a major version of wasmtime and a system."""
    return f"wasmtime-{major}.*-{system}"


def digest_of(inputs: Mapping[str, object]) -> str:
    """Return the digest of a key's inputs, hexadecimal."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
