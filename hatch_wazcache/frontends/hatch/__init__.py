"""Hatch: the build hook, the builder, and a project outside a build."""
