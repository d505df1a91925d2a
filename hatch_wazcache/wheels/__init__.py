"""Writes platform wheels, reads untrusted wheels, and defines the format of the manifest.

It does not know the cache or the build systems.
"""

PYPI_LIMIT = 100 << 20
"""The largest file that PyPI accepts by default, in bytes. A project can get a higher limit."""
