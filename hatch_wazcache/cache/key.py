"""The key of an entry: the digest of all that decides an artifact's bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hatch_wazcache.formats.zip_members import KEPT_BY

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ArtifactKey", "SourceKey"]

_SCHEMA = 1
"""Raised whenever entries of before must not be found again."""

_SOURCES = "sources"
"""The scope of the assets' own compressed streams."""


@dataclass(frozen=True)
class ArtifactKey:
    """All that decides an artifact's bytes and those of its compressed stream.

    Which of the two compilers made it is no part of it: they give the same bytes.
    """

    wasm: str
    """The SHA-256 of the `.wasm`, hexadecimal."""
    engine: str
    """wasmtime's own version, all three numbers: patch releases change generated code too."""
    target: str
    triple: str
    """Part of the artifact's bytes: glibc's and musl's differ, and load on each other."""
    cpu: str
    """A level's name, or what names this machine's CPU."""
    cpu_flags: tuple[str, ...]
    settings: Mapping[str, bool | int | str]
    """Those that decide the code."""
    strip: tuple[str, ...] = ()
    """The sections that are left out before it is compiled, in the order of `wasm.STRIP`."""

    @property
    def scope(self) -> str:
        return f"wasmtime-{self.engine}-{self.target}"

    @cached_property
    def digest(self) -> str:
        return _digest(self.inputs())

    @property
    def compiler_triple(self) -> str | None:
        """What the compiler is told; None for this machine's own CPU, which it finds out."""
        return None if self.cpu.startswith("native") else self.triple

    def inputs(self) -> dict[str, object]:
        """Return what the digest is of, as it stands in an entry."""
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
    """The key of a `.wasm`'s own compressed stream, which every wheel carries."""

    wasm: str

    @property
    def scope(self) -> str:
        return _SOURCES

    @cached_property
    def digest(self) -> str:
        return _digest(self.inputs())

    def inputs(self) -> dict[str, object]:
        """Return what the digest is of, as it stands in an entry."""
        return {"schema": _SCHEMA, "wasm": self.wasm, "deflate": KEPT_BY}


def _digest(inputs: Mapping[str, object]) -> str:
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
