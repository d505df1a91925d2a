"""wasmtime: the targets it compiles for, its settings, and the installed version.

Knows nothing of caches and wheels.
"""
