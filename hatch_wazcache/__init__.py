"""hatch-wazcache: the WebAssembly of a Python package, compiled when its wheel is built."""
