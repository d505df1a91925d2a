"""A job: what one entry of the cache is made for, and out of which file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS, native_system

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_wazcache.formats.wasm import Wasm

__all__ = ["DEFAULT_TIMEOUT", "Job"]

DEFAULT_TIMEOUT = 1800
"""Seconds that one compilation may need."""

_SMALL = 1 << 14
"""Bytes: libdeflate takes 0.2 ms for so many, and an entry as long to be read."""


class Job(NamedTuple):
    """One entry to be found or made: an artifact, or an asset's own compressed stream."""

    key: ArtifactKey | SourceKey
    label: str
    """What a person calls it."""
    path: Path
    """The `.wasm` file."""
    wasm: Wasm

    @property
    def is_small(self) -> bool:
        """Whether it is a stream that is made sooner than an entry of it is found and checked."""
        return not self.compiles and self.wasm.size <= _SMALL

    @property
    def compiles(self) -> bool:
        """Whether it takes a compiler; the streams are made along the way, without a word."""
        return isinstance(self.key, ArtifactKey)

    @property
    def needs_wasmtime_cli(self) -> bool:
        """Whether it takes the `wasmtime` program.

        wasmtime-py compiles for its own system only, and does not know all settings.
        """
        if not isinstance(self.key, ArtifactKey):
            return False
        return SYSTEMS[self.key.target] != native_system() or any(
            SETTINGS[name].needs_wasmtime_cli(value) for name, value in self.key.settings.items()
        )
