"""Turns jobs into cache entries: child processes, the two compilers, memory and cores.

It does not know projects and wheels, or where the cache puts its files.
"""
