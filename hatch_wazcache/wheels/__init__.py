"""Writes platform wheels, reads wheels of any origin without trust, owns the manifest's format.

It knows neither the cache nor the build systems.
"""

PYPI_LIMIT = 100 << 20
"""The largest file, in bytes, that PyPI accepts, unless a project has a limit of its own."""
