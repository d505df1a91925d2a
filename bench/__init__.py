"""The benchmarks: what the project's speed, memory and size are, side by side with the others'."""
