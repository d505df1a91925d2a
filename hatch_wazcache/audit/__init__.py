"""Checks of finished wheels, whoever built them."""
