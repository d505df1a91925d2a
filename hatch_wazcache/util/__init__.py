"""Temporary files, child processes, sizes and times. Knows nothing of wasm, caches or wheels."""
