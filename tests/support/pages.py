"""The pages of the docs as tests read and run them: blocks, commands, and what they print."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the paragraph before it."""

    language: str
    text: str
    before: str


def read_page(name: str) -> str:
    """Return the text of a page by its path in the repository, such as `docs/cache.md`."""
    return (ROOT / name).read_text("utf-8")


def all_blocks(text: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    found = []
    pattern = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
    for block in pattern.finditer(text):
        before = text[: block.start()].rstrip().rpartition("\n\n")[2]
        found.append(Block(block[2], block[3], before))
    return found


def blocks(language: str, text: str) -> list[str]:
    """Return the texts of the blocks in one language."""
    return [block.text for block in all_blocks(text) if block.language == language]


def commands(block: str) -> list[str]:
    """Return the commands of a console block, without their output."""
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def outputs(block: str) -> list[tuple[str, str]]:
    """Return each command of a console block, and the output that the page shows for it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def messages(text: str) -> list[str]:
    """Return the messages in an output, without numbers, and without those of a slow machine."""
    number = re.compile(r"[\d.]+ (s|[kM]?B)\b")
    lines = [line for line in text.splitlines() if "wazcache:" in line]
    return [number.sub("N", line) for line in lines if "still compiling" not in line]


def alike(text: str) -> str:
    """Take out of an answer what differs from one machine, and one time, to the next."""
    text = re.sub(r"\b[0-9a-f]{12}([0-9a-f]{52})?\b", "KEY", text)
    text = re.sub(r".*still compiling.*\n", "", text)  # where a compiler needs 10 s
    text = re.sub(r"just now|\d min ago", "WHEN", text)
    text = re.sub(r"[\d.]+ (s|[kMG]?B)\b", r"N", text)
    text = re.sub(r"\b48\.[\d.]+\b", "48.N", text)
    return re.sub(r"(?<=\S) +", " ", text)


def check_output(shown: str, printed: str) -> None:
    """Compare an output with what a page shows of it; `…` stands for any lines, also for none."""
    lines = [re.escape(line) for line in alike(shown).splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else f"{line}\n" for line in lines)
    text = "".join(f"{line}\n" for line in alike(printed).splitlines())
    assert re.fullmatch(pattern, text), f"shown:\n{shown}\nprinted:\n{printed}"


class Shell:
    """One bash that runs the commands of a page, so that `cd` and `activate` stay in force."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env={**os.environ, **env}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command: str) -> str:
        """Run a command, and return what it prints; an error of it is one of the test."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n@status %s\\n' $?\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            if line.startswith("@status "):
                assert line == "@status 0\n", f"{command}\n{printed}"
                return printed.removesuffix("\n")
            printed += line
        raise AssertionError(f"bash has ended: {command}\n{printed}")

    def write(self, path: str, text: str) -> None:
        """Write a file; the path is relative to the folder where the shell is by now."""
        self.run(f"cat > {path} <<'END OF FILE'\n{text}END OF FILE")

    def close(self) -> None:
        """End the shell."""
        self._bash.communicate()
