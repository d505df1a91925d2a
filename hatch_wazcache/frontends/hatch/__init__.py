"""Hatch: the build hook, the builder of several wheels, and commands that work outside a build."""
