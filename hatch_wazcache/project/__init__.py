"""A project: its options, its requirement on wasmtime, its packages. Knows nothing of compilers."""
