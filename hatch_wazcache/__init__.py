"""hatch-wazcache: the WebAssembly of a Python package, compiled when its wheel is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from hatch_wazcache.compilation_cache import CompilationCache

__all__ = ["CompilationCache", "WazcacheError", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import `CompilationCache` when it is asked for: a build has no use for it."""
    if name == "CompilationCache":
        from hatch_wazcache.compilation_cache import CompilationCache

        return CompilationCache
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
