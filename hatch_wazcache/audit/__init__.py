"""Checks finished wheels of any origin against what they say of themselves."""
