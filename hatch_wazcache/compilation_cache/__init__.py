"""The cache for use in a process, for programs that compile WebAssembly at run time."""
