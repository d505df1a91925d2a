"""A job: the key of one cache entry, and the `.wasm` file to make the entry from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hatch_wazcache.cache.key import ArtifactKey, SourceKey
from hatch_wazcache.engine.settings import SETTINGS
from hatch_wazcache.engine.targets import SYSTEMS, native_system

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_wazcache.engine.installed import Engine
    from hatch_wazcache.formats.wasm import Wasm

__all__ = ["DEFAULT_TIMEOUT", "Job"]

DEFAULT_TIMEOUT = 1800
"""Seconds that one compilation may need."""

_SMALL = 1 << 14
"""Bytes that libdeflate compresses in 0.2 ms, which is as long as reading an entry."""


class Job(NamedTuple):
    """One entry to find or make: an artifact, or the compressed stream of an asset."""

    key: ArtifactKey | SourceKey
    label: str
    """Its name in messages."""
    path: Path
    """The `.wasm` file."""
    wasm: Wasm
    engine: Engine | None = None
    """The wasmtime-py that compiles it, or that its compiler was compared with; None if it does not
    compile."""
    asset: str = ""
    """The asset's path in its project, for the statistics; empty outside of a project."""

    @property
    def is_small(self) -> bool:
        """Whether it is a stream that is faster to make than to find in the cache."""
        return not self.compiles and self.wasm.size <= _SMALL

    @property
    def compiles(self) -> bool:
        """Whether it needs a compiler. Streams do not, so reports leave them out."""
        return isinstance(self.key, ArtifactKey)

    @property
    def package(self) -> Path | None:
        """The folder of the wasmtime that a child process imports for it; None: it imports none."""
        return None if self.engine is None or self.needs_wasmtime_cli else self.engine.package

    @property
    def needs_wasmtime_cli(self) -> bool:
        """Whether wasmtime-py cannot do it.

        wasmtime-py compiles for its own system only, and does not know all settings. A key with
        another version than the engine's is that of a wasmtime CLI.
        """
        if not isinstance(self.key, ArtifactKey):
            return False
        if self.engine is not None and self.key.engine != self.engine.version:
            return True
        return SYSTEMS[self.key.target] != native_system() or any(
            SETTINGS[name].needs_wasmtime_cli(value) for name, value in self.key.settings.items()
        )

    @property
    def compiled_by(self) -> str:
        """The version of wasmtime in the key; empty if it does not compile."""
        return self.key.engine if isinstance(self.key, ArtifactKey) else ""

    def by_version(self, version: str) -> Job:
        """Return the same job for a compiler of another version."""
        if not isinstance(self.key, ArtifactKey) or self.key.engine == version:
            return self
        return self._replace(key=replace(self.key, engine=version))
