"""Real packages from PyPI, changed as their authors would change them, before and after."""
