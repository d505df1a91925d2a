"""Turns jobs into cache entries: child processes, the two compilers, memory and cores.

Knows nothing of projects and wheels, and nothing of how the cache lays out its files.
"""
