"""Speed, memory and size, side by side with what people have today: `python -m bench`.

Every contender of a comparison runs in the same run, in turn with the others, on real files; what
counts is the ratio within a round. `make bench` writes the tables and plots of the README.
"""
