"""Wheels: the writer of a platform wheel, the reader of a stranger's wheel, the manifest's format.

Knows nothing of WebAssembly and of the build systems.
"""
