"""Work for an interpreter: objects, lists, dictionaries, strings and numbers."""

from __future__ import annotations


class Record:
    """A node of a list."""

    def __init__(self, name: str, number: int, after: Record | None) -> None:
        self.name = name
        self.number = number
        self.after = after

    def copy(self) -> Record:
        """Return another node with the same content."""
        return Record(self.name, self.number, self.after)


def follow(first: Record | None) -> int:
    """Add up the numbers of a list."""
    total = 0
    while first is not None:
        total += first.number
        first = first.after
    return total


def work(rounds: int) -> int:
    """Do everything `rounds` times; return a number that depends on all of it."""
    counts: dict[str, int] = {}
    checked = 0
    squares = [[row * column for column in range(20)] for row in range(20)]
    for turn in range(rounds):
        first = Record("record", turn, None)
        for number in range(30):
            first = Record(f"record {number % 7}", number ^ turn, first)
            counts[first.name] = counts.get(first.name, 0) + 1
        checked = (checked * 31 + follow(first.copy())) % 1000003
        text = "-".join(sorted(counts, reverse=bool(turn % 2)))
        checked += text.find("record 5") + len(text.upper().split("D"))
        for row in squares:
            row[turn % 20] = sum(row[:10]) % 97
        checked += squares[turn % 20][turn % 19]
        checked += int(sum(x / (x + 1.5) for x in range(20)) * 1000)
    return checked


if __name__ == "__main__":
    print(work(20000))
