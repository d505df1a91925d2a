"""setuptools: the plugin, its commands, and commands that work outside a build."""
