"""Compares speed, memory and size with the usual ways of today: `python -m bench`.

The contenders of a comparison run in turn, on real files. The result is the ratio within each
round. `make bench` writes the tables and plots of the docs and the README.
"""
