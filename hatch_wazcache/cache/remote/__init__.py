"""The shared cache on a server: signed entries, which builds on other machines use."""
