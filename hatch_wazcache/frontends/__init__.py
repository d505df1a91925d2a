"""The build systems: each front end translates its calls into the steps of a build.

A front end has no logic of its own, and does not know the others.
"""
