"""Bytes read and written: WebAssembly, artifacts, zip members. Knows nothing of a build."""
