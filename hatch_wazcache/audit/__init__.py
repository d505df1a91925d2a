"""Checks and describes finished wheels of any origin.

It reads wheels and compiles their artifacts again. The command line shows the results.
"""
