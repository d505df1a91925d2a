"""Collects wasmtime's library and metadata, and the files that each loader needs."""

from __future__ import annotations

from typing import Any

from PyInstaller.utils.hooks import collect_dynamic_libs, copy_metadata

from hatch_wazcache.resources.pyinstaller import files_of_loaders

# By default PyInstaller looks for lib*.so, and so misses _libwasmtime.so.
binaries = collect_dynamic_libs("wasmtime", search_patterns=["_libwasmtime.*", "_wasmtime.dll"])

# `CompilationCache` and the fallback of a loader look up the version of wasmtime.
datas = copy_metadata("wasmtime")


def hook(hook_api: Any) -> None:
    """Add what the loaders among the program's modules need."""
    nodes = hook_api.module_graph.iter_graph()
    modules = [(node.identifier, node.filename) for node in nodes if node.filename]
    hook_api.add_datas(list(files_of_loaders(modules)))
