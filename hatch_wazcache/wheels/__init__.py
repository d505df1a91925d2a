"""Writes platform wheels, reads wheels of any origin without trust, owns the manifest's format.

It knows neither the cache nor the build systems.
"""
