"""setuptools: the plugin, its commands, and a project outside a build."""
