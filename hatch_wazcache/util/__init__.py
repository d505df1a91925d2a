"""Temporary files, sizes and times. Knows nothing of wasm, caches or wheels."""
