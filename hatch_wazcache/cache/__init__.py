"""The cache: finds entries, stores new ones, checks them and removes old ones.

It stores bytes under keys. It does not know wheels or build systems.
"""
