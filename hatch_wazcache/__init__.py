"""hatch-wazcache: the WebAssembly of a Python package, compiled when its wheel is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_wazcache.errors import WazcacheError

if TYPE_CHECKING:
    from hatch_wazcache.compilation_cache.cache import CompilationCache

    __version__: str

__all__ = ["CompilationCache", "WazcacheError", "__version__"]


def __getattr__(name: str) -> object:
    """Import on demand what a build does not use."""
    if name == "CompilationCache":
        from hatch_wazcache.compilation_cache.cache import CompilationCache

        return CompilationCache
    if name == "__version__":
        # The version is in pyproject.toml alone. There it is static, so that installers resolve
        # this project without building it.
        from importlib.metadata import version

        return version("hatch-wazcache")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
