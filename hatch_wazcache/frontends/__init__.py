"""The front ends: each translates the calls of a build system into the steps of a build.

A front end contains no other logic, and does not know the other front ends.
"""
